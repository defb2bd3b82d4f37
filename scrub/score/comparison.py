"""What a comparison of rival claims says: each claim's scores, paired differences, and how the claims relate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from scrub.claims.plain import as_dict
from scrub.claims.titles import short_name, with_file
from scrub.score.bits import Bits
from scrub.score.control import Adversary, Control
from scrub.score.spoken import StoryScore
from scrub.score.statistics import Interval
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

A_BETTER, B_BETTER, CANNOT_TELL = "a better", "b better", "cannot tell"
CLAIM, CONTROL = "claim", "control"
HOW_TESTED = "p that the mean difference is 0, the larger of Student's t and Hall's; two-sided"


@frozen
class Compared:
    """One claim: what it recovers and explains, and how specific it is.

    `scrubbed` and `random` are mean metrics; `variables` are those that are swapped, the answer not counted;
    `edges` are channels of sites with the parent's site that they read. `verdict` is that of `scrub.test`, controls
    and adversary included; None without an expectation. `story` is how far the story's answers are the model's own.
    """

    hypothesis: str
    digest: str
    foil: str | None
    verdict: str | None
    reason: str | None
    expect: float | None
    recovered: Interval
    explained: Interval
    scrubbed: float
    random: float
    bits: Bits
    variables: int
    edges: int
    options: dict[str, Any]
    controls: tuple[Control, ...] = ()
    adversary: Adversary | None = None
    story: StoryScore = field(factory=StoryScore)

    def recovered_by(self, name: str) -> Control | None:
        """The control of a name, of several tied sites the one that recovers least; None where it was not run."""
        found = [
            c for c in self.controls if c.value is not None and (c.name == name or c.name.startswith(f"{name} "))
        ]
        return min(found, key=lambda control: control.value or 0, default=None)

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)


@frozen
class Difference:
    """recovered(a) - recovered(b), paired by row: positive where a is better.

    `p` is that of a mean of 0, `adjusted` after Holm over all pairs; they are None where the difference is undefined.
    `random` says whether both claims have one L_random (`shared`) or the scale is taken from the `mean of both`.
    Interval and p are those of the population that the pool is a sample of: `wider` says how many times the interval
    is as wide as given the pool.
    """

    a: str
    b: str
    share: Interval
    t: float | None
    p: float | None
    adjusted: float | None
    verdict: str
    reason: str
    random: str
    wider: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {**as_dict(self, "share"), **as_dict(self.share)}


@frozen
class ParetoPoint:
    """A claim or a control on the Pareto picture; `dominated_by` keeps no more bits and recovers no less."""

    hypothesis: str
    kind: str
    bits: float
    recovered: float | None
    dominated_by: str | None = None


@frozen
class Refinement:
    """The finer claim has all sites of the coarser one, and its values there decide the coarser one's."""

    finer: str
    coarser: str


@frozen
class Fact:
    """One difference between two claims, in words."""

    a: str
    b: str
    fact: str


@frozen
class DecidingRow:
    """A row on which two claims differ most: the metric of the model and of both, and which claim it speaks for."""

    a: str
    b: str
    row: int
    text: str
    model: float
    metric_a: float
    metric_b: float
    favours: str


@frozen(eq=False)
class Comparison:
    """What `scrub.compare` returns. Numbers that are undefined are None.

    `differences`, `structural` and `deciding` go through the pairs in the order in which the claims were given.
    """

    hypotheses: tuple[Compared, ...]
    differences: tuple[Difference, ...]
    pareto: tuple[ParetoPoint, ...]
    refines: tuple[Refinement, ...]
    structural: tuple[Fact, ...]
    deciding: tuple[DecidingRow, ...]
    metric: str
    better: str
    model: float
    rows: int
    draws: int | None
    seed: int
    options: dict[str, Any]
    provenance: dict[str, Any]
    table: dict[str, Any] = field(factory=dict[str, Any], repr=False)

    @property
    def labels(self) -> dict[str, str]:
        """A short name for each claim; names that collide are told apart by their files."""
        return labels([h.hypothesis for h in self.hypotheses])

    def to_dict(self) -> dict[str, Any]:
        metric = {"name": self.metric, "better": self.better, "model": self.model}
        return {**as_dict(self, "better", "model", "table"), "metric": metric}

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a reference row: the model's metric, each claim's scrubbed and random."""
        return shown(self, "frame")

    def plot(self) -> Figure:
        """Shares against bits, and the paired differences, as a plotly figure. Raises ScrubError without plotly."""
        return shown(self, "plot")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def distinct(names: Sequence[str]) -> list[str]:
    """The names, a number behind those that came before: a claim may be compared with itself."""
    found: list[str] = []
    for name in names:
        number, chosen = 1, name
        while chosen in found:
            number += 1
            chosen = f"{name} ({number})"
        found.append(chosen)
    return found


def labels(names: Sequence[str]) -> dict[str, str]:
    """`file.py::name` -> `name`, with as much of the file as it takes to tell all of them apart."""
    short = {name: short_name(name) for name in names}
    for longer in (with_file, str):
        count = Counter(short.values())
        short = {name: longer(name) if count[label] > 1 else label for name, label in short.items()}
    return short
