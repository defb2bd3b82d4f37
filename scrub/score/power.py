"""How many rows a verdict takes: the spread of `recovered` over rows and over draws.

SE^2 = (s2_rows + s2_draws / draws) / rows + s2_pool / pool, for what each row contributes to the ratio (its
influence, the delta method), and for what a row of the pool adds where it is a donor or a rest. A difference of t +
0.84 standard errors is found with a power of 80 % at a level of 5 %, t being Student's: 2.9 of them with 30 rows, 2.8
with many.

s2_rows is what the variance of a row's mean has beyond s2_draws / draws: a difference, which few rows and draws can
put anywhere, at 0 too. So it comes with an upper limit (90 %; Ting et al. 1990, for differences of mean squares, from
0 on), whose degrees of freedom are those of rows that may be heavy-tailed; all that is foretold is told there too.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import Factory, evolve, field, frozen
from jaxtyping import Float

from scrub.anatomy.tolerances import ROUNDING
from scrub.claims import seen
from scrub.claims.plain import as_dict
from scrub.score.design import SAMPLE
from scrub.score.intervals import are_shares
from scrub.score.statistics import LEVEL
from scrub.score.student import quantile
from scrub.score.verdict import INCONCLUSIVE, Verdict
from scrub.shown import shown

if TYPE_CHECKING:  # a stored result needs no torch
    import pandas as pd

    from scrub.score.sample import Samples

FOUND = 0.8416  # standard errors below which a difference stays in one of five tests
UPPER = 0.9  # the level of upper limits
PILOT_ROWS, PILOT_DRAWS = 32, 2
Row = Float[np.ndarray, " row"]


@frozen
class Spread:
    """Variances of what a row adds to `recovered`: between rows, and between the draws of a row (0 when exact).

    `rows_high` is the upper limit of `rows`, at 90 %: what the estimate does not exclude. `pool` is the variance of
    what a row of the pool adds as a donor or a rest, `size` how many such rows there are; more rows than these make
    it grow. `unseen` is what rows of the rarer kind may hold where rows are hits, times the number of rows: of n hits
    that are all right a share of 3.69/n may yet be wrong.
    """

    rows: float
    draws: float
    rows_high: float = field(default=Factory(lambda spread: spread.rows, takes_self=True))
    pool: float = 0.0
    size: int = 1
    unseen: float = 0.0

    @classmethod
    def of(cls, samples: Samples) -> Spread | None:
        """None where there is nothing to recover, or one row. One draw tells nothing apart: all is between rows."""
        found = influence(samples)
        rows, draws = found.shape
        if rows < 2 or not np.isfinite(found).all():
            return None
        means = found.mean(1)
        within = found.var(axis=1, ddof=1) if draws > 1 else np.zeros(rows)
        known = float(within.mean())
        # The variance of row means holds that of their draws too; a small sample may give less than that, hence the
        # 0.
        between = max(0.0, float(means.var(ddof=1)) - known / draws)
        # The limit of a difference of two variances, by the method of variance estimates recovery (Zou and Donner
        # 2008): both limits' distances, squared and summed.
        above = (_factor(_freedom(means), 1 - UPPER) - 1) * float(means.var(ddof=1))
        less = (1 - _factor(_freedom_of_mean(within, draws), UPPER)) * known / draws
        scale = abs(float(samples.random.mean() - samples.top.mean()))
        unseen = -math.log((1 - LEVEL) / 2) / scale if are_shares(samples.columns) else 0.0
        return cls(between, known, between + math.hypot(above, less), unseen=unseen)

    @property
    def at_most(self) -> Spread:
        """The spread at its upper limit."""
        return evolve(self, rows=self.rows_high)

    def error(self, rows: int, draws: int | None) -> float:
        """The standard error of `recovered`; `draws` is None when every draw is enumerated."""
        return math.sqrt(self._of_rows(draws) / rows + self.pool / max(self.size, rows))

    def detectable(self, rows: int, draws: int | None) -> float:
        """The difference that is found four times of five."""
        return reach(rows) * self.error(rows, draws)

    def needed(self, difference: float, draws: int | None) -> int | None:
        """The rows from which on a difference is detected, and a verdict given; None for a difference of 0."""
        if not difference:
            return None
        first = self._rows_for(difference / reach(seen.VERDICT_ROWS), draws)
        spread = self._rows_for(difference / reach(math.ceil(first)), draws)
        return max(seen.VERDICT_ROWS, math.ceil(max(spread, self.unseen / difference)))

    def _of_rows(self, draws: int | None) -> float:
        return self.rows + (0.0 if draws is None else self.draws / draws)

    def _rows_for(self, error: float, draws: int | None) -> float:
        """The rows that give a standard error: of the pool as it is, or else of one that grows with them."""
        left = error**2 - self.pool / self.size
        rows = self._of_rows(draws) / left if left > 0 else math.inf
        return rows if rows <= self.size else (self._of_rows(draws) + self.pool) / error**2


def reach(rows: int) -> float:
    """The standard errors of a difference that a test of so many rows finds four times of five."""
    return quantile((1 + LEVEL) / 2, float(max(rows, 2) - 1)) + FOUND


def _freedom(values: Row) -> float:
    """Degrees of freedom of the variance of values: fewer than n - 1 where they have heavy tails (Box 1953)."""
    away, n = values - values.mean(), len(values)
    size = float((away**2).mean())
    excess = max(0.0, float((away**4).mean()) / size**2 - 3) if size > 0 else 0.0
    return (n - 1) / (1 + excess / 2 * (n - 1) / n)


def _freedom_of_mean(variances: Row, draws: int) -> float:
    """Degrees of freedom of the mean of the rows' variances between draws, by how far these differ."""
    size = float(variances.mean())
    if size <= 0:
        return math.inf
    return 2 * len(variances) / max(float(variances.var(ddof=1)) / size**2, 2 / (draws - 1))


def _factor(freedom: float, level: float) -> float:
    """Degrees of freedom over the quantile of chi-square at a level (Wilson and Hilferty 1931)."""
    part = 2 / (9 * freedom)
    root = 1 - part + NormalDist().inv_cdf(level) * math.sqrt(part)
    return root**-3 if root > 0 else math.inf


def influence(samples: Samples) -> Float[np.ndarray, "row draw"]:
    """What each draw of each row adds to (R - S)/(R - M), from the means R, S and M."""
    scrubbed, random, model = samples.scrubbed, samples.random, samples.top[:, None]
    scale = random.mean() - samples.top.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (random.mean() - scrubbed.mean()) / scale
        return ((random - scrubbed) - share * (random - model)) / scale


@frozen
class Power:
    """What `scrub.power` returns: from a pilot, or a result, what a test of so many rows and draws can tell.

    `detectable` is the difference of `recovered` from the bar, or from another claim's on other draws, that is
    found four times of five. It and the standard error are estimates; `error_high` and `detectable_high` are their
    upper limits (90 %).
    """

    hypothesis: str
    rows: int
    draws: int | None
    spread: Spread
    pilot_rows: int
    pilot_draws: int | None
    pilot_seed: int = 0
    digest: str = ""
    options: dict[str, Any] = field(factory=dict[str, Any])
    provenance: dict[str, Any] = field(factory=dict[str, Any])
    design: str = SAMPLE  # of the rows that are asked for

    @property
    def error(self) -> float:
        return self.spread.error(self.rows, self.draws)

    @property
    def error_high(self) -> float:
        return self.spread.at_most.error(self.rows, self.draws)

    @property
    def detectable(self) -> float:
        return self.spread.detectable(self.rows, self.draws)

    @property
    def detectable_high(self) -> float:
        return self.spread.at_most.detectable(self.rows, self.draws)

    def needed(self, difference: float, at_most: bool = False) -> int | None:
        """The rows that detect a difference, with as many draws; `at_most`, those that the upper limit asks for."""
        spread = self.spread.at_most if at_most else self.spread
        return spread.needed(abs(difference), self.draws)

    @property
    def flat(self) -> bool:
        """Whether the pilot saw no spread: rows and draws that were alike tell nothing of others."""
        return self.error < ROUNDING

    def to_dict(self) -> dict[str, Any]:
        return {
            **as_dict(self, "spread", "pilot_rows", "pilot_draws", "pilot_seed"), "error": self.error,
            "error_high": self.error_high, "detectable": self.detectable, "detectable_high": self.detectable_high,
            "s2_rows": self.spread.rows, "s2_rows_high": self.spread.rows_high, "s2_draws": self.spread.draws,
            "s2_pool": self.spread.pool, "pool": self.spread.size, "unseen": self.spread.unseen,
            "pilot": {"rows": self.pilot_rows, "draws": self.pilot_draws, "seed": self.pilot_seed},
        }  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """A pandas table of one line, so that those of several claims stand below each other."""
        return shown(self, "frame")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def settle(verdict: Verdict, value: float | None, bar: float, spread: Spread | None, draws: int | None) -> str:
    """The reason of an inconclusive verdict with the rows that would settle it."""
    reason = verdict.reason
    if verdict.word != INCONCLUSIVE or spread is None or value is None:
        return reason
    rows = spread.needed(abs(value - bar), draws)
    if rows is None:
        return f"{reason[:-1]}; what is recovered lies at the bar, which no number of rows settles."
    each, most = "" if draws is None else f" x {draws} draws", spread.at_most.needed(abs(value - bar), draws)
    worst = "" if most == rows else f", at most {most} with {UPPER:.0%} confidence,"
    return f"{reason[:-1]}; about {rows} rows{each}{worst} would settle it."
