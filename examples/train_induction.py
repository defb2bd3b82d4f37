"""Trains the zoo's `induction`: two layers of attention continue a repetition. A minute on one core.

python examples/train_induction.py --out somewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import training

from scrub.zoo.data import induction_rows
from scrub.zoo.words import INDUCTION

SEED, DATA_SEED, LENGTH = 2, 1, 24
CONFIG = {
    "n_layers": 2,
    "n_heads": 4,
    "d_model": 64,
    "d_head": 16,
    "n_ctx": 32,
    "d_vocab": len(INDUCTION),
    "attn_only": True,
    "normalization_type": "LN",
}


def batch(draws: torch.Generator, size: int = 128) -> training.Batch:
    """Sequences without repetition, then one stretch of them again and again, which is trained on."""
    fresh = torch.randint(6, 21, (size, 1), generator=draws)
    body = 1 + torch.rand(size, len(INDUCTION) - 1, generator=draws).argsort(1)
    start = (torch.rand(size, 1, generator=draws) * (fresh - 2)).long()
    index = torch.arange(LENGTH - 1)
    step = (index - fresh) % (fresh - start)
    tokens = body.gather(1, torch.where(index < fresh, index, start + step))
    tokens = torch.cat([torch.zeros(size, 1, dtype=torch.long), tokens], dim=1)
    # The first token of each repetition can be known to nobody.
    known = torch.cat([torch.zeros(size, 1, dtype=torch.bool), (index > fresh) & (step > 0)], dim=1)
    targets = tokens.where(known, training.UNTRAINED).roll(-1, 1)
    return tokens, targets, None


def main(out: Path | None) -> None:
    model, draws = training.native(CONFIG, SEED), torch.Generator().manual_seed(SEED)
    training.train(model, lambda: batch(draws), steps=1800, rate=3e-3, sparse=0.01)
    training.finish(
        model,
        induction_rows(2000, DATA_SEED),
        name="induction",
        note="Continues a repeated sequence: after the second `a` comes what followed the first.",
        config=CONFIG,
        vocabulary=INDUCTION,
        position="END",
        label="b",
        data_seed=DATA_SEED,
        script="examples/train_induction.py",
        out=out,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for weights and card (default: the zoo's own)")
    main(parser.parse_args().out)
