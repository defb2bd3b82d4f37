"""The circuits of sub-skills, each judged on the rows of every skill, as results have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from scrub.anatomy.names import Component
from scrub.claims.plain import as_dict
from scrub.score.statistics import UNDEFINED, Interval
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

CLAIMED = "claimed"


@frozen
class SkillCell:
    """A circuit on the rows of a skill that no circuit was looked for on.

    `share` is (F(C) - F(0))/(F(M) - F(0)), `explained` 1 - AUE/ATE; `less` is what it recovers less there than the
    skill's own circuit, paired row by row; `overlap` the Jaccard index of the two.
    """

    skill: str
    rows: int
    share: Interval
    explained: float | None
    less: Interval = UNDEFINED
    overlap: float | None = None

    @property
    def effect(self) -> float:
        """How dark a heat map shows it: shares beyond 1 and below -1 as these."""
        return max(-1.0, min(1.0, self.share.value or 0.0))

    def to_dict(self) -> dict[str, Any]:
        return {**as_dict(self, "share", "less"), "share": self.share.to_dict(), "less": self.less.to_dict()}


@frozen
class Overlap:
    """Jaccard indices of `pairs` of circuits that were found for one skill: their mean, the least and the largest."""

    mean: float
    least: float
    most: float
    pairs: int


@frozen
class AsGood:
    """How many of the `circuits` that differ from one in 1 to `exchanged` parts recover as much, less 0.01 at most.

    `count` with its interval (95 %, Clopper and Pearson 1934, corrected for the numbers of parts that are drawn from
    apart), from the `tried`; where all were tried it is exact.
    """

    count: float
    low: float
    high: float
    exchanged: int
    circuits: int
    tried: int


@frozen
class SkillCircuit:
    """The circuit that was found for a skill, or the claim's own (`claimed`): `parts` are all but inputs.

    `needed` are those that minimality shows to be needed on the skill's rows (None: not asked); `seeds` the overlap
    of circuits found with other halvings of the rows, `halves` that of circuits found on two halves that share no
    row. `note` says why there is no circuit.
    """

    skill: str
    parts: tuple[Component, ...] = ()
    cells: tuple[SkillCell, ...] = ()
    needed: tuple[Component, ...] | None = None
    seeds: Overlap | None = None
    halves: Overlap | None = None
    as_good: AsGood | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "skill": self.skill, "parts": list(map(str, self.parts)),
            "cells": [cell.to_dict() for cell in self.cells],
            "needed": None if self.needed is None else list(map(str, self.needed)),
            "seeds": as_dict(self.seeds) if self.seeds else None,
            "halves": as_dict(self.halves) if self.halves else None,
            "as_good": as_dict(self.as_good) if self.as_good else None, "note": self.note,
        }  # fmt: skip


@frozen
class SkillMatrix:
    """What `scrub test --skills` shows: a line for each circuit, a column for the rows of each skill.

    A circuit of a skill has the fewest parts in the order of a proposal that recover `target` on one half of its
    rows; `rows` counts those of the other half, on which all are judged. `options` say how the rest is ablated.
    """

    hypothesis: str
    metric: str
    skills: tuple[str, ...]
    circuits: tuple[SkillCircuit, ...]
    target: float
    rows: int
    seed: int
    options: dict[str, Any] = field(factory=dict[str, Any])

    def cell(self, circuit: str, skill: str) -> SkillCell:
        """The circuit of one skill, or `claimed`, on the rows of another. Raises KeyError where it was not judged."""
        cells = {(c.skill, cell.skill): cell for c in self.circuits for cell in c.cells}
        return cells[circuit, skill]

    def to_dict(self) -> dict[str, Any]:
        return {**as_dict(self, "circuits"), "circuits": [circuit.to_dict() for circuit in self.circuits]}

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a circuit and a skill on whose rows it was judged."""
        return shown(self, "frame")

    def plot(self) -> Figure:
        """The matrix as a plotly figure. Raises ScrubError without plotly."""
        return shown(self, "plot")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")
