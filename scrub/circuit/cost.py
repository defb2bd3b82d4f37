"""What judging a circuit costs, counted before anything is run: how often each criterion runs a circuit on a row.

A circuit on one row is about one forward pass: what is outside is computed no faster than what is inside. Of many
circuits of components what they have alike is computed once (`same_streams.py`), which is counted on circuits such as
a criterion runs. Circuits of edges have a stream for each channel that reads something of its own, and cost more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Int

from scrub.anatomy.edges import Node, Part
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.completeness import CANDIDATES, RANDOM, halves
from scrub.circuit.experiment import referred
from scrub.circuit.minimality import contexts_of, others_of
from scrub.circuit.random import only_one, random_circuits
from scrub.circuit.same_streams import FEW, LiveParts, Place, SameStreams, alike_at_once, in_order, streams_computed
from scrub.circuit.sequential import batches
from scrub.engine.cost import Pass, forward_work

SOME, ROWS = 20, 16  # random parts and circuits on which it is counted what is shared, and rows
NAMES = FAITHFUL, COMPLETE, MINIMAL, TESTS = "faithfulness", "completeness", "minimality", "tests"


def passes_of(
    bench: CircuitBench, circuit: Circuit, random: int = 100, budget: int | None = None, tests: bool = True
) -> tuple[Pass, ...]:
    """The passes of `judge` after the rows' own, in their order. The bench needs no weights."""
    calls, searching, measuring = len(bench.calls), *(len(half.calls) for half in halves(bench))
    greedy = 2 * (1 + _tried(len(circuit.parts), budget)) * searching
    sets = 1 + _steps(len(circuit.parts), budget) + RANDOM + len(circuit.roles)
    searched, chosen = _minimal(bench, circuit, random)
    found = [
        Pass(FAITHFUL, 3 * calls),
        Pass(COMPLETE, greedy + 2 * sets * calls, bound="<="),
        Pass(MINIMAL, searched * searching + chosen * measuring, bound="<="),
        Pass(TESTS, (2 + 2 * random if random else 1) * calls if tests else 0, bound="<="),
    ]
    return tuple(one for one in found if one.calls)


def forwards_of(bench: CircuitBench, circuit: Circuit, passes: Iterable[Pass]) -> tuple[Pass, ...]:
    """The passes with their cost in forward passes, at the defaults: what their circuits share is counted once."""
    each = {COMPLETE: _knocked, MINIMAL: _searched, TESTS: _beside}
    return tuple(
        evolve(one, forwards=one.calls * (each[one.name](bench, circuit) if one.name in each else 1.0))
        for one in passes
    )


def _knocked(bench: CircuitBench, circuit: Circuit) -> float:
    """Of a circuit-row of completeness: as many are C \\ K as M \\ K; those of a step differ in one part."""
    tried = [frozenset((part,)) for part in circuit.parts[:CANDIDATES]]
    own = frozenset(circuit.parts)
    return (_share(bench, [own - one for one in tried], False) + _share(bench, tried, True)) / 2


def _searched(bench: CircuitBench, circuit: Circuit) -> float:
    """The circuits of the claim's own parts run together, then those of some random ones, and of some more."""
    cases, contexts, own = _cases(bench, circuit, SOME), contexts_of(circuit, bench.seed), len(circuit.parts)
    computed, known = 0.0, set[frozenset[Part]]()
    for some in [range(-own, 0), *batches(len(cases) - own)]:
        new = _distinct([cases[own + i] for i in some], contexts) - known
        computed, known = computed + len(new) * _share(bench, new, False), known | new
    return computed / len(known) if known else 1.0


def _beside(bench: CircuitBench, circuit: Circuit) -> float:
    """Of a circuit-row of the tests: half are random circuits, half the model without one."""
    if only_one(circuit, bench.universe):
        return 1.0
    drawn = [
        [frozenset(c.parts) for c in random_circuits(circuit, bench.universe, SOME, bench.seed, outside=outside)]
        for outside in (False, True)
    ]
    return (_share(bench, drawn[0], False) + _share(bench, drawn[1], True)) / 2


def _share(bench: CircuitBench, circuits: Collection[frozenset[Part]], without: bool) -> float:
    """What a circuit costs, or the model without it, when all of these are run together, in forward passes of a row.

    On a middle block of rows, the answer's unembedding apart; each is a whole pass where nothing is shared.
    """
    graph, alike = bench.experiment.graph, AlikeCircuits.on(bench, circuits, without, _middle(bench))
    if alike is None:
        return 1.0
    assert isinstance(graph, TransformerGraph)
    pieces = alike.pieces(min(len(circuits), alike_at_once(alike.places)))
    computed = sum(streams_computed(same, alike.places) for same in pieces)
    read = alike.length * graph.shape.d_model * graph.shape.d_vocab / forward_work(graph, alike.length)  # unembedding
    return (1 - read) * computed / (len(circuits) * graph.shape.n_layers * alike.length)


@frozen(eq=False)
class AlikeCircuits:
    """Circuits of components, or the model without each, on some rows: what they have alike is computed once."""

    live: LiveParts
    circuits: list[frozenset[Node]]
    places: tuple[Place, ...]
    slots: dict[Slot, Int[np.ndarray, " row"]]
    length: int

    @classmethod
    def on(
        cls, bench: CircuitBench, circuits: Collection[frozenset[Part]], without: bool, rows: Int[np.ndarray, " n"]
    ) -> AlikeCircuits | None:
        """None where each circuit is a whole pass."""
        graph, data, answer = bench.experiment.graph, bench.experiment.data, bench.experiment.answer
        listed = [frozenset(p for p in c if isinstance(p, Node)) for c in circuits]
        if not isinstance(graph, TransformerGraph) or answer is None or bench.held or len(listed) <= FEW:
            return None
        if any(len(nodes) < len(parts) for nodes, parts in zip(listed, circuits, strict=True)):
            return None
        live, length = (
            LiveParts(graph, bench.passed, bench.experiment.noising == without),
            int(data.lengths[rows].max()),
        )
        slots = {slot: data.locate(slot)[rows] for slot in bench.slots}
        expanded = [Circuit(nodes=nodes).expanded(graph).nodes for nodes in listed]
        places = live.places({n for nodes in expanded for n in nodes}, slots, data.locate(answer)[rows], length)
        return None if places is None else cls(live, expanded, places, slots, length)

    def pieces(self, size: int) -> Iterator[SameStreams]:
        """What circuits that run together compute."""
        order = in_order(self.circuits, self.live.graph)
        for first in range(0, len(order), size):
            some = [self.circuits[i] for i in order[first : first + size]]
            yield SameStreams.of(self.live, some, self.places, self.slots)


def _middle(bench: CircuitBench) -> Int[np.ndarray, " n"]:
    """Rows of similar length, as many as a block has."""
    lengths = bench.experiment.data.lengths[bench.rows]
    order = bench.rows[np.argsort(lengths, kind="stable")]
    return order[max(0, len(order) // 2 - ROWS) :][:ROWS]


def rows_of(bench: CircuitBench) -> int:
    """How many rows are run for their own values and for the ablated ones.

    By the whole bench, by the half on which completeness searches, and by both halves for minimality.
    """
    halved, calls = _halved(bench), len(bench.calls)
    drawn = bench.experiment.ablation.donors is not None
    prepared = calls + (len(halves(bench)[0].calls) + calls if halved else 0)
    return prepared * (1 + drawn) + sum(means_of(bench, name) for name in NAMES)


def means_of(bench: CircuitBench, phase: str) -> int:
    """How many rows are run in a phase for their means."""
    times = {FAITHFUL: 1, COMPLETE: 1 if _halved(bench) else 0, MINIMAL: 2 if _halved(bench) else 0}.get(phase, 0)
    experiment = bench.experiment
    averaged = experiment.ablation.averaged and experiment.graph.sequence
    return times * len(referred(experiment)) if averaged else 0


def _halved(bench: CircuitBench) -> bool:
    return halves(bench)[0] is not bench


def _tried(parts: int, budget: int | None) -> int:
    """Parts that greedy search tries at most: some in every step, a part less each time."""
    most = sum(min(left, CANDIDATES) for left in range(parts, 0, -1))
    return most if budget is None else min(most, budget)


def _steps(parts: int, budget: int | None) -> int:
    return parts if budget is None else min(parts, -(-budget // max(1, min(parts, CANDIDATES))))


def _minimal(bench: CircuitBench, circuit: Circuit, random: int) -> tuple[int, int]:
    """Distinct circuits that are searched on one half of the rows, and run, at most, on the other."""
    cases = _cases(bench, circuit, random)
    return len(searched_circuits(bench, circuit, random)), 1 + 2 * len(dict.fromkeys(cases))


def searched_circuits(bench: CircuitBench, circuit: Circuit, random: int) -> set[frozenset[Part]]:
    """The circuits that minimality searches, of the claim's parts and of random ones."""
    return _distinct(_cases(bench, circuit, random), contexts_of(circuit, bench.seed))


def _cases(bench: CircuitBench, circuit: Circuit, random: int) -> list[tuple[frozenset[Part], Part]]:
    """Each part of a circuit with the circuit that it is taken from."""
    own = frozenset(circuit.parts)
    others = others_of(bench, circuit, random)
    return [(own, part) for part in circuit.parts] + [(own | {part}, part) for part in others]


def _distinct(
    cases: Iterable[tuple[frozenset[Part], Part]], contexts: Iterable[frozenset[Part]]
) -> set[frozenset[Part]]:
    found: set[frozenset[Part]] = set()
    listed = list(contexts)
    for whole, part in cases:
        for context in listed:
            rest = whole - (context - {part})
            found |= {rest, rest - {part}}
    return found
