"""Finds the directions of hypotheses/addition.py: waves of the numbers and of their sum, where each is written.

python examples/fit_addition.py --out somewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve

from scrub import Dataset, Interpretation, attn, claim, embed, fit, logits, mlps, recovers
from scrub.claims.basis import Basis
from scrub.zoo import addition_rows
from scrub.zoo.words import MODULUS

GALLERY = Path(__file__).parents[1] / "hypotheses"
FREQUENCIES, OTHERS, ROWS = [16, 14, 5], [1, 2, 3], 190
SAID = {"a": lambda a: str(a), "b": lambda b: str(b), "sum": lambda sum: str(sum)}


def rows() -> Dataset:
    return Dataset.from_rows([row for row in addition_rows(1500, seed=1) if not row["columns"]["trained"]])


def fitted(column: str, site: Any, frequencies: list[int]) -> Basis:
    """The waves of a number in what a site writes."""
    story = Interpretation()
    story.add("answer", SAID[column])
    setting = {"model": "zoo:addition", "data": rows, "metric": "accuracy(label)", "expect": recovers(0.9)}
    made = claim(story, **setting, through="heads")({column: site, "answer": logits("END").reads(input=column)})
    return fit.fourier(made, column, frequencies, period=MODULUS, rows=ROWS)


def some(basis: Basis, kept: slice, what: str) -> Basis:
    """Directions of some of the frequencies that were fitted together, so that none has what another explains."""
    return evolve(basis, array=basis.array[kept], method=f"fourier, {what}", found={})


def main(out: Path) -> None:
    heads, count = attn(0, at="END"), 2 * len(FREQUENCIES)
    total = fitted("sum", mlps(0, at="END"), FREQUENCIES)
    first, second = (fitted(column, heads, FREQUENCIES) for column in ("a", "b"))
    both = np.concatenate([first.array, second.array])
    found = {
        "number": fitted("a", embed("A"), FREQUENCIES),
        "number_others": some(fitted("a", embed("A"), FREQUENCIES + OTHERS), slice(count, None), "three others"),
        "first": first,
        "numbers": evolve(first, array=both, method="fourier of both numbers", found={}),
        "sum": total,
        "sum_two": some(total, slice(4), "two of the three"),
    }
    for name, basis in found.items():
        print(basis, basis.save(out / f"addition_{name}.safetensors"), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GALLERY, help="folder for the files (default: the gallery)")
    main(parser.parse_args().out)
