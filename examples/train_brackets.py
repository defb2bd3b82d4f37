"""Trains the zoo's `brackets`: is every parenthesis closed? Two minutes on one core.

python examples/train_brackets.py --out somewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import training

from scrub.zoo.data import brackets_rows
from scrub.zoo.words import BRACKETS

SEED, DATA_SEED = 0, 1
CONFIG = {
    "n_layers": 2,
    "n_heads": 2,
    "d_model": 64,
    "d_head": 32,
    "d_mlp": 64,
    "n_ctx": 32,
    "d_vocab": len(BRACKETS),
    "act_fn": "relu",
    "normalization_type": "LN",
    "attention_dir": "bidirectional",
}


def main(out: Path | None) -> None:
    model, draws = training.native(CONFIG, SEED), torch.Generator().manual_seed(SEED)
    batch = training.sampler(brackets_rows(60_000, SEED + 1000), BRACKETS, "START", draws)
    training.train(model, batch, steps=3000, rate=2e-3, sparse=0.005, window=(0.3, 0.8))
    training.finish(
        model,
        brackets_rows(2000, DATA_SEED),
        name="brackets",
        note="Says at position 0 whether the parentheses are balanced, `yes` or `no`. Bidirectional.",
        config=CONFIG,
        vocabulary=BRACKETS,
        position="START",
        data_seed=DATA_SEED,
        script="examples/train_brackets.py",
        out=out,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for weights and card (default: the zoo's own)")
    main(parser.parse_args().out)
