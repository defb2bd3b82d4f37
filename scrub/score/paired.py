"""Paired tests: a sign-flip test of differences row by row, and Holm's correction for several of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from jaxtyping import Float

from scrub.anatomy.tolerances import TIE

FLIPS = 9_999
ENUMERATED = 12  # rows up to which every flip is tried
AT_ONCE = 250  # flips


def studentised(differences: Float[np.ndarray, " row"]) -> float | None:
    """The mean of paired differences over its standard error; None where there is none (one row, all the same)."""
    rows = len(differences)
    if rows < 2 or not differences.std():
        return None
    return float(differences.mean() / (differences.std(ddof=1) / sqrt(rows)))


def sign_flip(differences: Float[np.ndarray, " row"], seed: int) -> float:
    """Two-sided p of no difference: how often flipping signs of rows gives a mean as far from 0.

    Flips leave the sum of squares as it is, so that |t| of a flip grows with |sum|: comparing sums is comparing
    studentised means. Up to 12 rows that differ all flips are enumerated, else 9,999 are drawn; the observed signs
    count as one more (+1 above and below), so that p is never 0.
    """
    moved = differences[differences != 0]  # a flip leaves a 0 as it is
    observed = abs(moved.sum()) - TIE * np.abs(moved).sum()
    if len(moved) <= ENUMERATED:
        flips = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float((_sums(flips, moved) >= observed).mean())
    rng = np.random.default_rng([seed, len(moved), 0x51F7])
    reached = 0
    for start in range(0, FLIPS, AT_ONCE):
        flips = rng.integers(0, 2, size=(min(AT_ONCE, FLIPS - start), len(moved)), dtype=np.int8)
        reached += int((_sums(flips, moved) >= observed).sum())
    return (1 + reached) / (1 + FLIPS)


def _sums(flips: np.ndarray, moved: Float[np.ndarray, " row"]) -> Float[np.ndarray, " flip"]:
    return np.abs((1.0 - 2.0 * flips) @ moved)


def holm(p: Sequence[float | None]) -> tuple[float | None, ...]:
    """Holm's adjusted p-values: rejecting those <= 0.05 errs anywhere with chance <= 0.05. None stays None.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979); no independence is needed.
    """
    adjusted, highest = list(p), 0.0
    tested = sorted((value, i) for i, value in enumerate(p) if value is not None)
    for before, (value, i) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - before) * value))
        adjusted[i] = highest
    return tuple(adjusted)
