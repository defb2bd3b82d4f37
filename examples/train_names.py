"""Trains the zoo's `names`: who is given the book? Indirect object identification. Three minutes on one core.

python examples/train_names.py --out somewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import training

from scrub.zoo.data import names_rows
from scrub.zoo.words import NAMES

SEED, DATA_SEED = 2, 1
CONFIG = {
    "n_layers": 3,
    "n_heads": 4,
    "d_model": 64,
    "d_head": 16,
    "d_mlp": 128,
    "n_ctx": 32,
    "d_vocab": len(NAMES),
    "act_fn": "gelu",
    "normalization_type": "LN",
}


def main(out: Path | None, seed: int = SEED) -> None:
    model, draws = training.native(CONFIG, seed), torch.Generator().manual_seed(seed)
    batch = training.sampler(names_rows(40_000, seed + 1000), NAMES, "END", draws)
    training.train(model, batch, steps=2500, rate=2e-3, sparse=0.03, quiet=0.05, window=(0.25, 0.85))
    training.finish(
        model,
        names_rows(2000, DATA_SEED),
        name="names",
        note="Names the one of two people who does not act; `them` when a third person acts.",
        config=CONFIG,
        vocabulary=NAMES,
        position="END",
        data_seed=DATA_SEED,
        script="examples/train_names.py",
        out=out,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for weights and card (default: the zoo's own)")
    main(parser.parse_args().out)
