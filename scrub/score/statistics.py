"""Estimates with their intervals over reference rows; each row carries its numbers together.

The unit is the row: its draws are averaged first, or intervals would be too narrow. Intervals are conditional
on the pool; `population.py` has those for the population that the pool is a sample of.
"""

from __future__ import annotations

import math

import numpy as np
from attrs import evolve, field, frozen

from scrub.claims.plain import as_dict
from scrub.score.design import KNOWN, SAMPLE
from scrub.score.intervals import Columns, Expansion, Statistic, are_shares, bounded, corrected, expand

LEVEL = 0.95
FEW_ROWS = 10  # below which a sample has no interval; a verdict takes more, see `claims.seen.VERDICT_ROWS`


@frozen
class Interval:
    """An estimate with its interval; None where it is undefined. `needs` are rows that it takes and has not."""

    value: float | None
    low: float | None
    high: float | None
    level: float = LEVEL
    needs: int = field(default=0, eq=False)

    def to_dict(self) -> dict[str, float | None]:
        return as_dict(self, *([] if self.needs else ["needs"]))

    def widened(self, times: float) -> Interval:
        """The same value, both ends so many times as far from it."""
        if self.value is None or self.low is None or self.high is None:
            return self
        low, high = self.value - times * (self.value - self.low), self.value + times * (self.high - self.value)
        return evolve(self, low=low, high=high)

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return "undefined"
        return f"{self.value:z.2f} [{self.low:z.2f}, {self.high:z.2f}]"


UNDEFINED = Interval(None, None, None)


def interval(columns: Columns, statistic: Statistic, seed: int, design: str = SAMPLE) -> Interval:
    """The interval of a statistic of column means, such as a ratio; UNDEFINED without a value or with too few rows.

    `design` says how the rows were come by. Of a SAMPLE it is studentised and corrected for skewness; where rows are
    too skewed for their number it says how many it takes. Hits and shares of hits have bounds of their own, for which
    `seed` draws weights. Rows that are alike leave no width, unless they are hits: of these, differences between two
    runs included, a few of the other kind may not have been seen.

    The rows of a whole DOMAIN have the studentised interval however few or skewed they are, since none is unseen:
    what it covers is the chance of their draws, and more. Where that is KNOWN too it is the point [v, v].
    """
    found = expand(columns, statistic) if len(columns) >= (FEW_ROWS if design == SAMPLE else 1) else None
    if found is None:
        return UNDEFINED
    if design != SAMPLE:
        return _of_all(found, design)
    if are_shares(columns):
        ends, needs = bounded(columns, statistic, seed), 0
    else:
        ends, needs = corrected(found, LEVEL), found.needs
    if not np.isfinite(ends).all():
        return UNDEFINED
    return Interval(found.value, *ends, needs=needs if needs > found.rows else 0)


def _of_all(found: Expansion, design: str) -> Interval:
    """The interval where no row is unseen; none of a single row that was drawn for."""
    if design == KNOWN:
        return Interval(found.value, found.value, found.value)
    ends = corrected(found, LEVEL) if found.rows > 1 else (math.inf, math.inf)
    return Interval(found.value, *ends) if np.isfinite(ends).all() else UNDEFINED
