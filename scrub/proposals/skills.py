"""Circuits of sub-skills: found for each on some of its rows, judged on the rows of all that nothing was found on.

Three questions are asked of each. Is it the skill's own: do circuits of other skills recover less on its rows? Is it
reliable: is the same circuit found on other rows? Is it identifiable: how many others of its size do as well?
(Meloux et al. 2025, "Everything, Everywhere, All at Once: Is Mechanistic Interpretability Identifiable?")
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from statistics import fmean

import numpy as np
from attrs import frozen
from jaxtyping import Bool, Float, Int

from scrub.anatomy.edges import Node
from scrub.anatomy.names import Component
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.faithfulness import conventions
from scrub.circuit.minimality import minimality
from scrub.circuit.significance import enough
from scrub.circuit.universe import free_writers, is_input
from scrub.engine.draw import Calls, words
from scrub.errors import ClaimError, DataError
from scrub.proposals.exchanges import as_good
from scrub.score.earned import WORTH
from scrub.score.skill_matrix import CLAIMED, Overlap, SkillCell, SkillCircuit
from scrub.score.statistics import UNDEFINED, interval

HALVINGS = 3  # of the rows, in each of which every skill's circuit is found twice
MOST_ROWS = 64  # on which a circuit is looked for
Rows = Int[np.ndarray, " n"]
Marked = Bool[np.ndarray, " n"]
Found = frozenset[Component]
Rank = Callable[[Rows, int], Sequence[Component]]


@frozen(slots=False, eq=False)
class SkillSearch:
    """What circuits of skills are looked for with: all scored rows, which of them each skill marks, what is enough.

    `rank` orders components by what patching them does on some rows, the strongest first.
    """

    bench: CircuitBench
    skills: Mapping[str, Marked]
    rank: Rank
    target: float
    seed: int

    @cached_property
    def inputs(self) -> tuple[Component, ...]:
        """What every circuit keeps: embeddings, input nodes."""
        graph = self.bench.experiment.graph
        return tuple(c for c in free_writers(graph, self.bench.passed) if is_input(Node(c), graph))

    @cached_property
    def candidates(self) -> tuple[Component, ...]:
        """What circuits are made of."""
        free = free_writers(self.bench.experiment.graph, self.bench.passed)
        return tuple(c for c in free if c not in self.inputs)

    def circuit(self, parts: Collection[Component]) -> Circuit:
        return Circuit.from_parts(map(Node, (*self.inputs, *parts)))

    def halves(self, number: int) -> tuple[Marked, Marked]:
        """All rows in two halves, those with the same skills evenly; another `number` halves them anew."""
        rows, data = self.bench.rows, self.bench.experiment.data
        word = words(data, Calls(rows, np.full(len(rows), number)), self.seed, "", "skills")
        second = np.zeros(len(rows), dtype=bool)
        second[np.lexsort((word, *self.skills.values()))[1::2]] = True
        return ~second, second

    def find(self, marked: Marked, number: int) -> Found:
        """The fewest parts in rank order that recover the target, without those that are not needed for it.

        Raises ClaimError where nothing can be recovered on these rows, DataError where nothing can be patched.
        """
        rows = self.bench.rows[marked][:MOST_ROWS]
        if not len(rows):
            raise ClaimError("too few rows have the skill to look for its circuit on half of them")
        shares = Shares.of(self, self.bench.on(rows))
        ranked = [c for c in self.rank(rows, self.seed + number) if c in self.candidates]
        low, high = 0, len(ranked)
        while high - low > 1:
            middle = (low + high) // 2
            enough_parts = shares.of_parts([ranked[:middle]])[0] >= self.target
            low, high = (low, middle) if enough_parts else (middle, high)
        return shares.pruned(ranked[:high])


@frozen(eq=False)
class Shares:
    """What circuits recover on some rows: (F(C) - F(0))/(F(M) - F(0)) of means."""

    search: SkillSearch
    bench: CircuitBench
    nothing: float
    model: float

    @classmethod
    def of(cls, search: SkillSearch, bench: CircuitBench) -> Shares:
        """Raises ClaimError where ablating everything does not hurt."""
        nothing, model = float(bench.scores([Circuit()])[0].mean()), float(bench.model_scores.mean())
        if not (model - nothing) * (1 if bench.experiment.metric.better == "higher" else -1) > 0:
            raise ClaimError("the model does no better on the skill's rows than with everything ablated")
        return cls(search, bench, nothing, model)

    def of_parts(self, several: Sequence[Collection[Component]]) -> Float[np.ndarray, " circuit"]:
        means = self.bench.scores([self.search.circuit(parts) for parts in several]).mean(1)
        return (means - self.nothing) / (self.model - self.nothing)

    def pruned(self, ranked: Sequence[Component]) -> Found:
        """Without parts that cost less than 0.01 together, the weakest first; one is left."""
        kept, least = list(ranked), self.of_parts([ranked])[0] - WORTH
        for part in reversed(ranked):
            fewer = [other for other in kept if other != part]
            if fewer and self.of_parts([fewer])[0] >= least:
                kept = fewer
        return frozenset(kept)


def skill_circuits(search: SkillSearch, claimed: Circuit | None) -> tuple[tuple[SkillCircuit, ...], int]:
    """The claim's circuit and one for each skill, judged on rows on which none was looked for: how many there are."""
    judged = search.halves(0)[1]
    made = {skill: _made(search, skill) for skill in search.skills}
    circuits = {skill: search.circuit(found[0][0]) for skill, (found, _) in made.items() if found}
    beside = {**({} if claimed is None else {CLAIMED: claimed}), **circuits}
    cells = _cells(search, beside, judged)
    own = [] if claimed is None else [SkillCircuit(CLAIMED, _components(search, claimed), cells[CLAIMED])]
    found = [_told(search, skill, made[skill], cells.get(skill, ()), judged) for skill in search.skills]
    return (*own, *found), int(judged.sum())


Made = tuple[list[tuple[Found, Found]], str]


def _made(search: SkillSearch, skill: str) -> Made:
    """The circuits found on both halves of every halving; or why there are none."""
    try:
        return [
            (search.find(first & search.skills[skill], n), search.find(second & search.skills[skill], n))
            for n in range(HALVINGS)
            for first, second in [search.halves(n)]
        ], ""
    except (ClaimError, DataError) as error:
        return [], str(error).splitlines()[0]


def _components(search: SkillSearch, circuit: Circuit) -> tuple[Component, ...]:
    graph = search.bench.experiment.graph
    return tuple(sorted({node.component for node in circuit.expanded(graph).nodes if not is_input(node, graph)}))


def _cells(search: SkillSearch, circuits: Mapping[str, Circuit], judged: Marked) -> dict[str, tuple[SkillCell, ...]]:
    """Every circuit on the rows of every skill."""
    bench = search.bench.on(search.bench.rows[judged])
    scores = bench.scores([Circuit(), *circuits.values()])
    scored = dict(zip(circuits, scores[1:], strict=True))
    parts = {name: frozenset(_components(search, circuit)) for name, circuit in circuits.items()}
    found: dict[str, tuple[SkillCell, ...]] = {}
    for name, own in scored.items():
        cells: list[SkillCell] = []
        for skill, marked in search.skills.items():
            at = marked[judged]
            columns = np.column_stack([scored.get(skill, own), scores[0], bench.model_scores, own])[at]
            overlap = jaccard(parts[name], parts[skill]) if skill in parts else None
            cells.append(_cell(search, skill, columns, skill in scored and skill != name, overlap))
        found[name] = tuple(cells)
    return found


def _cell(
    search: SkillSearch, skill: str, columns: Float[np.ndarray, "n four"], paired: bool, overlap: float | None
) -> SkillCell:
    """One circuit on some rows; columns: the skill's own circuit, everything ablated, the model, this circuit."""
    if not len(columns):
        return SkillCell(skill, 0, UNDEFINED, None, UNDEFINED, overlap)
    better = search.bench.experiment.metric.better
    said = conventions(columns[:, 2], columns[:, 3], columns[:, 1], search.seed, better)
    less = interval(columns, _less, search.seed) if paired and said.normalized.value is not None else UNDEFINED
    return SkillCell(skill, len(columns), said.normalized, said.explained, less, overlap)


def _less(columns: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return (columns[:, 0] - columns[:, 3]) / (columns[:, 2] - columns[:, 1])


def _told(search: SkillSearch, skill: str, made: Made, cells: tuple[SkillCell, ...], judged: Marked) -> SkillCircuit:
    """A skill's circuit with what is asked of it."""
    found, note = made
    rows = search.bench.rows[judged & search.skills[skill]]
    if not found or not len(rows):
        return SkillCircuit(skill, note=note)
    own, bench = found[0][0], search.bench.on(rows)
    over = [[pair[half] for pair in found] for half in (0, 1)]
    return SkillCircuit(
        skill, tuple(sorted(own)), cells, _needed(search, bench, own),
        overlap([pair for same in over for pair in combinations(same, 2)]), overlap(found),
        as_good(Shares.of(search, bench).of_parts, own, search.candidates, search.seed),
    )  # fmt: skip


def _needed(search: SkillSearch, bench: CircuitBench, own: Found) -> tuple[Component, ...]:
    """The parts that minimality shows to be needed, beside random ones."""
    circuit = search.circuit(own)
    tested = minimality(bench, circuit, enough(len(circuit.parts)))
    shown = [part for part, needed in zip(circuit.parts, tested, strict=True) if needed.minimal]
    return tuple(part.component for part in shown if isinstance(part, Node) and part.component in own)


def jaccard(a: Collection[Component], b: Collection[Component]) -> float:
    """The share of the parts of either that both have."""
    return len({*a} & {*b}) / len({*a} | {*b}) if a or b else 1.0


def overlap(pairs: Sequence[tuple[Found, Found]]) -> Overlap:
    found = [jaccard(a, b) for a, b in pairs]
    return Overlap(fmean(found), min(found), max(found), len(found))
