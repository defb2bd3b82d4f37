"""Finds the directions of hypotheses/names_rank.py: the widest of what keys and values of head 1.2 are at a name.

PYTHONPATH=hypotheses python examples/fit_names_keys.py --out somewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from attrs import evolve

from scrub import Hypothesis, claim, fit, keys, values

GALLERY = Path(__file__).parents[1] / "hypotheses"
ROWS = 100


def main(out: Path) -> None:
    from names_rank import SETTING, found, rest, story

    def whole(channel: object, reads: str) -> Hypothesis:
        return claim(story, **SETTING)(rest(**{reads: "at_io at_s1 at_s2"}) | found(channel))

    widest = fit.pca(whole(keys, "k"), "at_io", rank=2, rows=ROWS)
    others = evolve(widest, array=np.linalg.svd(widest.array)[2][2:], method="pca, all but the widest", found={})
    copied = fit.pca(whole(values, "v"), "at_io", rank=2, rows=ROWS)
    for name, basis in (("keys", widest), ("others", others), ("values", copied)):
        print(basis, basis.save(out / f"names_rank_{name}.safetensors"), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GALLERY, help="folder for the files (default: the gallery)")
    main(parser.parse_args().out)
