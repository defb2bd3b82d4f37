"""Rankings of parts, as attribution methods give them, and how good their circuits are at every size.

The areas are those of the Mechanistic Interpretability Benchmark (Mueller et al. 2025, "MIB").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import floor, isnan
from pathlib import Path
from typing import Any, SupportsFloat

from attrs import field, frozen

from scrub.anatomy.edges import Edge, Node, Part, parse_part
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.tolerances import NO_CURVE, WHOLE
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import COMPONENTS, EDGES, Circuit
from scrub.circuit.files import read_scores
from scrub.circuit.universe import every_edge, free_writers, slots_in
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError, path_of, some

MIB = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # shares of all parts


def _floats(scores: Iterable[tuple[Part, SupportsFloat]]) -> tuple[tuple[Part, float], ...]:
    return tuple((part, float(score)) for part, score in scores)


def _distinct(_: Any, __: Any, scores: tuple[tuple[Part, float], ...]) -> None:
    if not scores:
        raise ClaimError("an empty ranking: give at least one part a score.")
    if wrong := [part for part, score in scores if isnan(score)]:
        raise ClaimError(f"the score of {some(wrong)} is NaN: leave such parts out, or mend their scores.")
    parts = [part for part, _ in scores]
    if len(set(parts)) < len(parts):
        twice = [part for part, times in Counter(parts).items() if times > 1]
        raise ClaimError(f"{some(twice)}: scored more than once; a ranking has one score for each part.")
    if len({type(part) for part in parts}) > 1:
        raise ClaimError("a ranking scores components or edges, not both: make two rankings.")


@frozen
class PartRanking:
    """Edges or components, each with its score: the higher, the earlier; ties in the order of parts.

    Raises ClaimError for an empty ranking, a part with two scores or NaN, and edges mixed with components.
    """

    scores: tuple[tuple[Part, float], ...] = field(converter=_floats, validator=_distinct)

    @classmethod
    def of(cls, scores: Mapping[Any, SupportsFloat], graph: ModelGraph | None = None) -> PartRanking:
        """From a dict; keys are parts or names, `{"embed -> 0.1.v": 0.3}`; each part of a name gets its score."""
        return cls((part, score) for key, score in scores.items() for part in _parts(key, graph))

    @classmethod
    def read(cls, file: str | Path, graph: ModelGraph | None = None) -> PartRanking:
        """From a file of scores: MIB's importances, auto-circuit's, a table. Raises ClaimError."""
        return cls(read_scores(path_of(file, "PartRanking.read(file)"), graph))

    @property
    def level(self) -> str:
        return EDGES if isinstance(self.scores[0][0], Edge) else COMPONENTS

    @property
    def circuit(self) -> Circuit:
        """All parts that have a score: what a bench for this ranking is made for."""
        return Circuit.from_parts(part for part, _ in self.scores)

    def ordered(self, absolute: bool = True) -> list[Part]:
        """The parts, the best first."""
        return [part for part, _ in sorted(self.scores, key=lambda s: (-value_of(s[1], absolute), s[0]))]

    def top(self, number: int, absolute: bool = True) -> Circuit:
        """The first `number` parts, or all that there are; by absolute scores unless `absolute` is false."""
        if number < 0:
            raise ClaimError(f"top({number}): the number of parts is 0 or more.")
        return Circuit.from_parts(self.ordered(absolute)[:number])


def _parts(key: Any, graph: ModelGraph | None) -> tuple[Part, ...]:
    return (key,) if isinstance(key, Node | Edge) else parse_part(key, graph)


def value_of(score: float, absolute: bool) -> float:
    return abs(score) if absolute else score


@frozen
class CurvePoint:
    """`requested` parts are that share of the universe, rounded down; `effective` ones were run.

    These are fewer where the ranking scores fewer, and by edges that lie on no path from an input to the output.
    `f` is (F(C) - F(0))/(F(M) - F(0)) of the circuit that was run; None where undefined.
    """

    share: float
    requested: int
    effective: int
    f: float | None


@frozen
class Curve:
    """The normalized faithfulness of a ranking's circuits over their size, as a share of all `universe` parts.

    MIB takes `cpr` from signed scores, `cmd` from absolute ones: two curves, and `absolute` says which this is. A
    circuit that is the model at every size of its grid has CPR 0.999 and CMD 0, the best CMD; CPR rewards f > 1 and
    has no upper bound, so that a high one need not be faithful. Half of either area is that of shares above 0.5.
    """

    points: tuple[CurvePoint, ...]
    absolute: bool
    level: str
    universe: int
    model: float
    ablated: float
    metric: str
    ablation: str
    direction: str

    @property
    def cpr(self) -> float | None:
        """The circuit performance ratio, the area under f. None where f is undefined."""
        return _area([(point.share, point.f) for point in self.points])

    @property
    def cmd(self) -> float | None:
        """The circuit-model distance, the area under |1 - f|; 0 is best. None where f is undefined."""
        return _area([(point.share, None if point.f is None else abs(1 - point.f)) for point in self.points])

    def to_dict(self) -> dict[str, Any]:
        return {"cpr": self.cpr, "cmd": self.cmd, **as_dict(self)}

    def __str__(self) -> str:
        cpr, cmd = ("undefined" if area is None else f"{area:z.3f}" for area in (self.cpr, self.cmd))
        return (
            f"CPR {cpr} (no upper bound), CMD {cmd} (best 0) of {self.universe} {self.level} by "
            f"{'absolute' if self.absolute else 'signed'} scores, {self.ablation} ablation, {self.direction}"
        )


@frozen
class Areas:
    """CPR of a ranking by signed scores and CMD by absolute ones, each with its curve."""

    signed: Curve
    absolute: Curve
    provenance: dict[str, Any] = field(factory=dict[str, Any], repr=False)

    @property
    def cpr(self) -> float | None:
        """The circuit performance ratio, by signed scores. None where undefined."""
        return self.signed.cpr

    @property
    def cmd(self) -> float | None:
        """The circuit-model distance, by absolute scores; 0 is best. None where undefined."""
        return self.absolute.cmd

    def to_dict(self) -> dict[str, Any]:
        curves = {"signed": self.signed.to_dict(), "absolute": self.absolute.to_dict()}
        return {"cpr": self.cpr, "cmd": self.cmd, **curves, "provenance": self.provenance}

    def __str__(self) -> str:
        return f"{self.signed}\n{self.absolute}"


def _area(points: Sequence[tuple[float, float | None]]) -> float | None:
    """By trapezoids, on linear shares."""
    total = 0.0
    for (x, a), (y, b) in pairwise(points):
        if a is None or b is None:
            return None
        total += (y - x) * (a + b) / 2
    return total


def cpr_cmd(
    bench: CircuitBench, ranking: PartRanking, sizes: Sequence[SupportsFloat] = MIB, absolute: bool = False
) -> Curve:
    """CPR and CMD of a ranking by signed scores (the default; MIB's CPR) or by absolute ones (its CMD).

    A share is one of all parts of the ranking's level that the bench can ablate, at each position that the ranking
    names; no circuit has parts without a score. Make the bench with `ranking.circuit`. Raises ClaimError for parts
    or shares that do not exist.
    """
    shares = [float(size) for size in sizes]
    if len(shares) < 2 or not all(0 <= a < b <= 1 for a, b in pairwise(shares)):
        raise ClaimError(f"sizes={some(shares)}: at least two shares of all parts from 0 to 1, increasing.")
    experiment, graph = bench.experiment, bench.experiment.graph
    ranking.circuit.checked(graph)
    everything = _universe(bench, ranking)
    wanted = [floor(share * len(everything) + WHOLE) for share in shares]
    best = ranking.ordered(absolute)
    circuits = [Circuit.from_parts(best[:n]).pruned_in(graph, bench.passed, experiment.output) for n in wanted]
    distinct = list(dict.fromkeys([Circuit(), *circuits]))
    known = dict(zip(distinct, bench.scores(distinct).mean(1), strict=True))
    model, ablated = float(bench.model_scores.mean()), float(known[Circuit()])
    room = model - ablated if abs(model - ablated) > NO_CURVE * max(abs(model), abs(ablated)) else None
    points = [
        CurvePoint(
            share, number, len(circuit), None if room is None else (float(known[circuit]) - ablated) / room + 0.0
        )
        for share, number, circuit in zip(shares, wanted, circuits, strict=True)
    ]
    return Curve(
        tuple(points), absolute, ranking.level, len(everything), model, ablated, str(experiment.metric),
        experiment.protocol.ablation, experiment.protocol.direction,
    )  # fmt: skip


def _universe(bench: CircuitBench, ranking: PartRanking) -> list[Part]:
    """Every part that a ranking of this level could score on a bench. Raises ClaimError for others that it scores."""
    graph, slots = bench.experiment.graph, slots_in(ranking.circuit.parts) or (None,)
    found: list[Part] = [Node(component, slot) for component in free_writers(graph, bench.passed) for slot in slots]
    if ranking.level == EDGES:
        edges = every_edge(graph, bench.passed, bench.experiment.output)
        found = [Edge(e.sender, e.receiver, e.channel, slot) for e in edges for slot in slots]
    if foreign := outside_of(ranking.circuit.parts, found):
        raise ClaimError(
            f"{foreign}: scored, but not among the {len(found)} {ranking.level} that this bench can ablate. Score "
            "single heads, all parts everywhere or all at positions, and make the bench with ranking.circuit."
        )
    if strange := [slot for slot in slots if slot is not None and slot not in bench.slots]:
        raise ClaimError(f"positions {some(strange)} are not those of this bench: make it with ranking.circuit.")
    return found


def outside_of(parts: Iterable[Part], universe: Iterable[Part]) -> str:
    known = set(universe)
    return some(part for part in parts if part not in known)
