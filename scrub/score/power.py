"""How many rows a verdict takes: the spread of `recovered` over rows and over draws.

SE^2 = (s2_rows + s2_draws / draws) / rows, for what each row contributes to the ratio (its influence, the delta
method). A difference of 2.8 standard errors is found with a power of 80 % at a level of 5 % (1.96 + 0.84).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen
from jaxtyping import Float

from scrub.claims.titles import short_name
from scrub.score.statistics import FEW_ROWS
from scrub.score.verdict import INCONCLUSIVE, ROUNDING
from scrub.shown import shown

if TYPE_CHECKING:  # a stored result needs no torch
    import pandas as pd

    from scrub.score.sample import Samples

DETECTABLE = 2.8
PILOT_ROWS, PILOT_DRAWS = 32, 2


@frozen
class Spread:
    """Variances of what a row adds to `recovered`: between rows, and between the draws of a row (0 when exact)."""

    rows: float
    draws: float

    @classmethod
    def of(cls, samples: Samples) -> Spread | None:
        """None where there is nothing to recover, or one row. One draw tells nothing apart: all is between rows."""
        found = influence(samples)
        rows, draws = found.shape
        if rows < 2 or not np.isfinite(found).all():
            return None
        within = float(found.var(axis=1, ddof=1).mean()) if draws > 1 else 0.0
        return cls(max(0.0, float(found.mean(1).var(ddof=1)) - within / draws), within)

    def error(self, rows: int, draws: int | None) -> float:
        """The standard error of `recovered`; `draws` is None when every draw is enumerated."""
        return math.sqrt((self.rows + (0.0 if draws is None else self.draws / draws)) / rows)

    def needed(self, difference: float, draws: int | None) -> int | None:
        """The rows from which on a difference is detected, and a verdict given; None for a difference of 0."""
        if not difference:
            return None
        return max(FEW_ROWS, math.ceil((DETECTABLE * self.error(1, draws) / difference) ** 2))


def influence(samples: Samples) -> Float[np.ndarray, "row draw"]:
    """What each draw of each row adds to (R - S)/(R - M), from the means R, S and M."""
    scrubbed, random, model = samples.scrubbed, samples.random, samples.model[:, None]
    scale = random.mean() - samples.model.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (random.mean() - scrubbed.mean()) / scale
        return ((random - scrubbed) - share * (random - model)) / scale


@frozen
class Power:
    """What `scrub.power` returns: from a pilot, or a result, what a test of so many rows and draws can tell.

    `detectable` is the difference of `recovered` from the bar, or from another claim's on other draws, that is
    found four times of five.
    """

    hypothesis: str
    rows: int
    draws: int | None
    spread: Spread
    pilot_rows: int
    pilot_draws: int | None

    @property
    def error(self) -> float:
        return self.spread.error(self.rows, self.draws)

    @property
    def detectable(self) -> float:
        return DETECTABLE * self.error

    def needed(self, difference: float) -> int | None:
        """The rows that detect a difference, with as many draws."""
        return self.spread.needed(abs(difference), self.draws)

    @property
    def flat(self) -> bool:
        """Whether the pilot saw no spread: rows and draws that were alike tell nothing of others."""
        return self.error < ROUNDING

    def to_dict(self) -> dict[str, Any]:
        return {
            "hypothesis": self.hypothesis, "rows": self.rows, "draws": self.draws, "error": self.error,
            "detectable": self.detectable, "s2_rows": self.spread.rows, "s2_draws": self.spread.draws,
            "pilot": {"rows": self.pilot_rows, "draws": self.pilot_draws},
        }  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """A pandas table of one line, so that those of several claims stand below each other."""
        return shown(self, "frame")

    def __str__(self) -> str:
        how = "every draw" if self.draws is None else f"{self.draws} draws"
        pilot = "every draw" if self.pilot_draws is None else f"{self.pilot_draws} draws"
        name, few = short_name(self.hypothesis), ""
        if self.rows < FEW_ROWS:
            few = f" Fewer than {FEW_ROWS} rows give no verdict."
        if self.flat:
            return (
                f"{name}: the pilot of {self.pilot_rows} rows x {pilot} saw no spread, and so tells nothing of how "
                f"many rows are needed ({self.rows} rows x {how} were asked for).{few}"
            )
        return (
            f"{name}: {self.rows} rows x {how} tell differences of {self.detectable:.3f} of what is recovered "
            f"(standard error {self.error:.3f}, from {self.pilot_rows} rows x {pilot}).{few}"
        )

    def _repr_html_(self) -> str:
        return shown(self, "html")


def settle(
    reason: str, verdict: str, value: float | None, bar: float, spread: Spread | None, draws: int | None
) -> str:
    """The reason of an inconclusive verdict with the rows that would settle it."""
    if verdict != INCONCLUSIVE or spread is None or value is None:
        return reason
    rows = spread.needed(abs(value - bar), draws)
    if rows is None:
        return f"{reason[:-1]}; what is recovered lies at the bar, which no number of rows settles."
    each = "" if draws is None else f" x {draws} draws"
    return f"{reason[:-1]}; about {rows} rows{each} would settle it."
