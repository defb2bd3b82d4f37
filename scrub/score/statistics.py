"""Estimates with their intervals over reference rows; each row carries its numbers together.

The unit is the row: its draws are averaged first, or intervals would be too narrow. Intervals are conditional
on the pool; `population.py` has those for the population that the pool is a sample of.
"""

from __future__ import annotations

import numpy as np
from attrs import field, frozen

from scrub.claims.plain import as_dict
from scrub.score.intervals import Columns, Statistic, are_shares, bounded, corrected, expand

LEVEL = 0.95
FEW_ROWS = 10  # below which there is no interval; a verdict takes more, see `verdict.ENOUGH_ROWS`
METHOD = (
    "studentised and corrected for skewness (Hall 1992) over reference rows; rare shares by Gaffke's bounds (2005)"
)


@frozen
class Interval:
    """An estimate with its interval; None where it is undefined. `needs` are rows that it takes and has not."""

    value: float | None
    low: float | None
    high: float | None
    level: float = LEVEL
    needs: int = field(default=0, eq=False)

    def to_dict(self) -> dict[str, float | None]:
        return as_dict(self)

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return "undefined"
        return f"{self.value:z.2f} [{self.low:z.2f}, {self.high:z.2f}]"


UNDEFINED = Interval(None, None, None)


def interval(columns: Columns, statistic: Statistic, seed: int) -> Interval:
    """The interval of a statistic of column means, such as a ratio; UNDEFINED without a value or with too few rows.

    It is studentised and corrected for skewness; where rows are too skewed for their number it says how many it
    takes. Hits and shares of hits have bounds of their own, for which `seed` draws weights. Rows that are alike leave
    no width, unless they are hits: of these, differences between two runs included, a few of the other kind may not
    have been seen.
    """
    found = expand(columns, statistic) if len(columns) >= FEW_ROWS else None
    if found is None:
        return UNDEFINED
    if are_shares(columns):
        ends, needs = bounded(columns, statistic, seed), 0
    else:
        ends, needs = corrected(found, LEVEL), found.needs
    if not np.isfinite(ends).all():
        return UNDEFINED
    return Interval(found.value, *ends, needs=needs if needs > found.rows else 0)
