"""The result of a test: what was measured, how sure it is, and what it was measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import asdict, field, frozen

from scrub.anatomy.tolerances import FP32
from scrub.claims.seen import Seen
from scrub.score.bars import highest_bar
from scrub.score.bits import Bits
from scrub.score.control import APART, TIED, Adversary, Control
from scrub.score.design import SAMPLE
from scrub.score.diagnostics import Swaps
from scrub.score.earned import Earned
from scrub.score.effect import SwapEffect
from scrub.score.left_out import LeftOut
from scrub.score.power import Spread
from scrub.score.reconstruction import Reconstruction
from scrub.score.routes import Rerouted
from scrub.score.skill_matrix import SkillMatrix
from scrub.score.skill_score import SkillScore
from scrub.score.spoken import Ceiling, PartScore, StoryScore
from scrub.score.stability import StabilityLine
from scrub.score.statistics import UNDEFINED, Interval
from scrub.score.verdict import REFUTED, SUPPORTED
from scrub.score.worst import WorstRow
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from scrub.score.since import Since


@frozen
class MetricMeans:
    """The metric of the model, of the scrubbed model and of the empty claim: means over reference rows."""

    name: str
    better: str
    model: float
    scrubbed: float
    random: float


@frozen
class Unexplained:
    """AUE, its ceiling ATE, and the share explained, 1 - AUE/ATE (Goldowsky-Dill et al. 2023)."""

    aue: float
    ate: float
    explained: float | None

    @classmethod
    def of(cls, aue: float, ate: float) -> Unexplained:
        return cls(aue, ate, 1 - aue / ate if ate else None)


@frozen(eq=False)
class Result:
    """What `scrub.test` returns. Numbers that are undefined are None.

    `recovered` is (L_random - L_scrubbed)/(L_random - L_model) with its interval, conditional on the pool,
    `population` the interval for rows and donors that are others of their kind; `design` says whether rows are a
    sample or the whole domain of a computation graph;
    `constant` is what the best input-independent answer recovers; `bar` the higher of it and the expectation.
    `worst` are the rows that change most; `effects` those of single swaps, of a refuted claim alone;
    `earned` is what each part of the claim earns; `left_out` which senders a claim that is not supported lacks most;
    `since` what changed since the last run of the claim, where runs
    are kept; `story` how far the story's answers are the model's own; `ceiling` what noise leaves, `holds` and
    `interchange` what else the claim says of its parts;
    `stability` is the same claim asked in other ways, where that was asked for; `skills` are the scores on the rows
    of each sub-skill that the claim names, `matrix` has their circuits, where these were asked for;
    `routes` is how often mixtures of experts chose others, where the model has any.
    """

    hypothesis: str
    digest: str
    foil: str | None
    verdict: str
    reason: str
    expect: float
    recovered: Interval
    constant: float | None
    bar: float
    metric: MetricMeans
    unexplained: Unexplained
    bits: Bits
    rows: int
    draws: int | None
    seed: int
    accuracy: float | None
    swaps: tuple[Swaps, ...]
    own_rest: float
    options: dict[str, Any]
    provenance: dict[str, Any]
    warnings: tuple[str, ...] = ()
    explanation: tuple[str, ...] = ()
    seen: Seen = field(factory=Seen)
    table: dict[str, Any] = field(factory=dict[str, Any], repr=False)
    controls: tuple[Control, ...] = ()
    adversary: Adversary | None = None
    spread: Spread | None = None
    worst: tuple[WorstRow, ...] = ()
    effects: tuple[SwapEffect, ...] = ()
    earned: tuple[Earned, ...] = ()
    since: Since | None = None
    story: StoryScore = field(factory=StoryScore)
    ceiling: Ceiling | None = None
    holds: tuple[PartScore, ...] = ()
    interchange: tuple[PartScore, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    stability: tuple[StabilityLine, ...] = ()
    skills: tuple[SkillScore, ...] = ()
    matrix: SkillMatrix | None = None
    population: Interval = UNDEFINED
    design: str = SAMPLE
    routes: Rerouted | None = None
    dictionaries: tuple[Reconstruction, ...] = ()

    @property
    def passed(self) -> bool:
        """A claim passes when it is supported, a foil only when it is refuted."""
        return self.verdict == (REFUTED if self.foil else SUPPORTED)

    @property
    def broken_by_swaps(self) -> bool:
        """Whether what is recovered, by all swaps or by the adversary, refutes it: not what it says besides."""
        shares = (self.recovered, self.adversary.share if self.adversary else None)
        below = [share.high is not None and share.high < self.bar for share in shares if share is not None]
        return self.verdict == REFUTED and any(below)

    @property
    def better_than_model(self) -> bool:
        """Whether more than 1 is recovered: the scrubbed model does better than the model itself."""
        return self.recovered.value is not None and self.recovered.value > 1 + FP32

    @property
    def passes_up_to(self) -> float | None:
        """The highest bar at which the claim would pass, to two places; None where there is none.

        Of a claim that is not supported it is not known: not all was asked of it, and a bar is not lowered after the
        fact.
        """
        if self.verdict != SUPPORTED:
            return None
        shares = [self.recovered, self.population, *([self.adversary.share] if self.adversary else [])]
        if self.story.share.value not in (None, 1.0):  # a story that is right on every row is in no doubt
            shares.append(self.story.share)
        asked = [c.high for c in self.controls if c.name.startswith((TIED, APART)) and c.high is not None]
        return highest_bar(shares, self.constant, asked)

    def to_dict(self) -> dict[str, Any]:
        m, u = self.metric, self.unexplained
        return {
            "hypothesis": self.hypothesis, "digest": self.digest, "foil": self.foil,
            "verdict": self.verdict, "reason": self.reason, "passed": self.passed, "expect": self.expect,
            "recovered": self.recovered.to_dict(),
            "population": {"low": self.population.low, "high": self.population.high},
            "constant": self.constant, "bar": self.bar, "passes_up_to": self.passes_up_to,
            "metric": {"name": m.name, "better": m.better, "model": m.model, "scrubbed": m.scrubbed,
                       "random": m.random},
            "unexplained": {"aue": u.aue, "ate": u.ate, "explained": u.explained},
            "story": self.story.to_dict(), "ceiling": self.ceiling.to_dict() if self.ceiling else None,
            "holds": [part.to_dict() for part in self.holds],
            "interchange": [part.to_dict() for part in self.interchange],
            "bits": {"kept": self.bits.kept, "everything": self.bits.everything},
            "earned": [one.to_dict() for one in self.earned],
            "left_out": [one.to_dict() for one in self.left_out],
            "skills": [skill.to_dict() for skill in self.skills],
            "matrix": self.matrix.to_dict() if self.matrix else None,
            "stability": [line.to_dict() for line in self.stability],
            "rows": self.rows, "draws": self.draws, "seed": self.seed, "design": self.design,
            "controls": [control.to_dict() for control in self.controls],
            "adversary": self.adversary.to_dict() if self.adversary else None,
            "diagnostics": {
                "accuracy": self.accuracy, "better_than_model": self.better_than_model,
                "own_rest": self.own_rest, "routes": self.routes.to_dict() if self.routes else None,
                "dictionaries": [one.to_dict() for one in self.dictionaries],
                "variables": [swaps.to_dict() for swaps in self.swaps],
                "seen": self.seen.to_dict(), "warnings": list(self.warnings), "power": self._power(),
                "worst": [row.to_dict() for row in self.worst], "effects": [asdict(e) for e in self.effects],
            },
            "options": self.options, "provenance": self.provenance, "explanation": list(self.explanation),
            "since": self.since.to_dict() if self.since else None,
        }  # fmt: skip

    def _power(self) -> dict[str, Any] | None:
        """The variances of `recovered`, the difference that was detectable, the rows that would settle it.

        Each with its upper limit (90 %), which a later test may take from here (`scrub.power(run=)`).
        """
        spread, value = self.spread, self.recovered.value
        if spread is None or value is None:
            return None
        away, most = abs(value - self.bar), spread.at_most
        return {
            "s2_rows": spread.rows, "s2_rows_high": spread.rows_high, "s2_draws": spread.draws,
            "s2_pool": spread.pool, "pool": spread.size, "unseen": spread.unseen,
            "detectable": spread.detectable(self.rows, self.draws),
            "detectable_high": most.detectable(self.rows, self.draws),
            "rows_to_settle": spread.needed(away, self.draws), "rows_to_settle_high": most.needed(away, self.draws),
        }  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a reference row: model, scrubbed and random metric, and the distances."""
        return shown(self, "frame")

    def plot(self) -> Figure:
        """The share, its controls, and every row as a plotly figure. Raises ScrubError without plotly."""
        return shown(self, "plot")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def ratio(columns: np.ndarray) -> np.ndarray:
    """`recovered` from means of (scrubbed, random, model, ...)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (columns[:, 1] - columns[:, 0]) / (columns[:, 1] - columns[:, 2])


def gap(columns: np.ndarray) -> np.ndarray:
    """L_random - L_model from the same means."""
    return columns[:, 1] - columns[:, 2]
