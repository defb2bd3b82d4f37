"""Intervals by percentile bootstrap over reference rows; each row carries its numbers together.

The unit is the row: its draws are averaged first, or intervals would be too narrow. Intervals are conditional
on the pool.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import frozen
from jaxtyping import Float

from scrub.claims.plain import as_dict

REPLICATES = 2000
LEVEL = 0.95
FEW_ROWS = 10
METHOD = f"percentile bootstrap over reference rows, {REPLICATES} replicates, conditional on the pool"


@frozen
class Interval:
    """An estimate with its percentile interval; None where it is undefined."""

    value: float | None
    low: float | None
    high: float | None
    level: float = LEVEL

    def to_dict(self) -> dict[str, float | None]:
        return as_dict(self)

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return "undefined"
        return f"{self.value:z.2f} [{self.low:z.2f}, {self.high:z.2f}]"


UNDEFINED = Interval(None, None, None)


def replicates(
    columns: Float[np.ndarray, "row k"], seed: int, number: int = REPLICATES
) -> Float[np.ndarray, "replicate k"]:
    """Means of rows drawn with replacement, the columns of a row kept together."""
    rows = len(columns)
    rng = np.random.default_rng([seed, rows, 0x5C2B])
    found: list[Float[np.ndarray, "replicate k"]] = []
    for start in range(0, number, 200):  # in pieces, so that 100,000 rows fit
        # How often each row is drawn says all of a replicate: a product of matrices gives the means of all columns.
        counts = rng.multinomial(rows, np.full(rows, 1 / rows), size=min(200, number - start))
        found.append(counts @ columns / rows)
    return np.concatenate(found)


def interval(
    columns: Float[np.ndarray, "row k"],
    statistic: Callable[[Float[np.ndarray, "n k"]], Float[np.ndarray, " n"]],
    seed: int,
) -> Interval:
    """A statistic of column means, formed in each replicate. A replicate without a number widens both ends."""
    value = float(statistic(columns.mean(0)[None])[0])
    if len(columns) < FEW_ROWS or not np.isfinite(value):
        return UNDEFINED
    samples = statistic(replicates(columns, seed))
    some, tail = np.isfinite(samples), (1 - LEVEL) / 2
    with np.errstate(invalid="ignore"):  # between an infinite and a finite replicate
        # To leave such replicates out would narrow the interval just where the denominator comes near 0.
        low = np.quantile(np.where(some, samples, -np.inf), tail)
        high = np.quantile(np.where(some, samples, np.inf), 1 - tail)
    if not (np.isfinite(low) and np.isfinite(high)):
        return UNDEFINED
    return Interval(value, float(low), float(high))
