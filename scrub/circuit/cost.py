"""What judging a circuit costs, counted before anything is run: how often each criterion runs a circuit on a row.

A circuit on one row is about one forward pass: what is outside is computed no faster than what is inside. Circuits of
edges have a stream for each channel that reads something of its own, and cost more.
"""

from __future__ import annotations

from collections.abc import Iterable

from scrub.anatomy.edges import Part
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.completeness import CANDIDATES, RANDOM, halves
from scrub.circuit.experiment import referred
from scrub.circuit.minimality import contexts_of, others_of
from scrub.engine.cost import Pass

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
