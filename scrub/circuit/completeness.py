"""Completeness: does knocking a set of parts out do to the circuit what it does to the model? (Wang et al. 2022, 4)

For subsets K of the circuit C the gap is |F(C \\ K) - F(M \\ K)|. A part that the circuit lacks, but that stands in
for K in the model, shows as a gap: faithfulness alone cannot see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Float, Int

from scrub.anatomy.edges import Part
from scrub.circuit.bench import CircuitBench, Scores
from scrub.circuit.circuit import Circuit
from scrub.claims.plain import as_dict

RANDOM = 20  # random subsets
CANDIDATES = 24  # parts tried in a greedy step


@frozen
class Gap:
    """A set of parts knocked out, and |F(C \\ K) - F(M \\ K)|. `variable` says whose parts they are."""

    parts: tuple[str, ...]
    gap: float
    circuit: float
    model: float
    variable: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self, *(["variable"] if self.variable is None else []))


@frozen
class Completeness:
    """`worst` is the worst of the empty set, of random ones, of every variable's, and of what greedy search passed.

    The search looks at `searched` rows, and the gaps of `worst` and `random` are those on `rows` others; `apart` is
    False where there are too few rows for two halves, so that both are the same. `by_variable` is of all rows.
    """

    worst: Gap
    random: tuple[float, ...]
    by_variable: tuple[Gap, ...]
    searched: int
    rows: int
    apart: bool = True

    def to_dict(self) -> dict[str, Any]:
        random = {"mean": float(np.mean(self.random)), "max": max(self.random), "n": len(self.random)}
        return {**as_dict(self), "random": random}


def completeness(
    bench: CircuitBench, circuit: Circuit, budget: int | None = None, random: int = RANDOM
) -> Completeness:
    """The gaps of random subsets, of every variable's parts, and of the worst set of all that are looked at.

    `budget`, at least 1, bounds the parts that greedy search tries. What it finds on one half of the rows may be
    harmless on the other, so that all sets compete there: the worst is never better than a random one. Being the
    largest of some thirty gaps it is, by chance, rather too large.
    """
    names = circuit.names()
    searching, measuring = halves(bench)
    bench.let_go()
    passed = _greedy(searching, circuit, budget)
    searching.let_go()
    rng = np.random.default_rng([bench.seed, 0xC0])
    subsets = [frozenset(p for p in circuit.parts if rng.random() < 0.5) for _ in range(random)]
    own = frozenset(circuit.parts)
    roles = [(name, parts & own) for name, parts in circuit.roles if parts & own]
    sets = list(dict.fromkeys([*passed, *subsets, *(parts for _, parts in roles)]))
    means = _on_both(bench, measuring, circuit, sets)
    at = {parts: (abs(c - m), c, m) for parts, (c, m) in zip(sets, means[0], strict=True)}
    everywhere = dict(zip(sets, means[1], strict=True))
    worst = max(sets, key=lambda parts: at[parts][0])
    return Completeness(
        _told(worst, names, *at[worst][1:]), tuple(at[parts][0] for parts in subsets),
        tuple(_told(parts, names, *everywhere[parts], name) for name, parts in roles),
        len(searching.rows), len(measuring.rows), searching is not measuring,
    )  # fmt: skip


def _told(
    parts: frozenset[Part], names: dict[Part, str], own: float, model: float, variable: str | None = None
) -> Gap:
    return Gap(tuple(names[part] for part in sorted_parts(parts, names)), abs(own - model), own, model, variable)


def sorted_parts(parts: frozenset[Part], names: dict[Part, str]) -> list[Part]:
    return [part for part in names if part in parts]


Means = list[tuple[float, float]]  # F(C \\ K) and F(M \\ K) for each K


def gaps(bench: CircuitBench, circuit: Circuit, subsets: Sequence[frozenset[Part]]) -> Means:
    """F(C \\ K) and F(M \\ K) for each K."""
    own, model = _by_row(bench, circuit, subsets)
    return _means(own, model)


def _on_both(
    bench: CircuitBench, some: CircuitBench, circuit: Circuit, subsets: Sequence[frozenset[Part]]
) -> tuple[Means, Means]:
    """The same on some of the rows of a bench, and on all of them: every set is run once."""
    own, model = _by_row(bench, circuit, subsets)
    among = np.isin(bench.rows, some.rows)
    return _means(own[:, among], model[:, among]), _means(own, model)


def _by_row(bench: CircuitBench, circuit: Circuit, subsets: Sequence[frozenset[Part]]) -> tuple[Scores, Scores]:
    own = bench.scores([without(circuit, K) for K in subsets])
    return own, bench.scores([Circuit.from_parts(K) for K in subsets], without=True)


def _means(own: Scores, model: Scores) -> Means:
    return [(float(c), float(m)) for c, m in zip(own.mean(1), model.mean(1), strict=True)]


def without(circuit: Circuit, parts: frozenset[Part]) -> Circuit:
    """C \\ K."""
    return circuit - Circuit.from_parts(parts)


def halves(bench: CircuitBench) -> tuple[CircuitBench, CircuitBench]:
    """The rows in two halves, drawn by the seed: one to search on, one to measure on. Few rows are used twice."""
    rows: Int[np.ndarray, " row"] = bench.rows
    if len(rows) < 4:
        return bench, bench
    order = np.random.default_rng([bench.seed, 0x4A1F]).permutation(len(rows))
    ranked = rows[np.argsort(bench.experiment.data.identities[rows], kind="stable")[order]]
    half = len(rows) // 2
    return bench.on(np.sort(ranked[:half])), bench.on(np.sort(ranked[half:]))


def _greedy(bench: CircuitBench, circuit: Circuit, budget: int | None) -> list[frozenset[Part]]:
    """From the empty set, add the part that widens the gap most, as long as one does: every set on the way."""
    rng = np.random.default_rng([bench.seed, 0x64EE])
    [(own, model)] = gaps(bench, circuit, [frozenset()])
    passed, best, left = [frozenset[Part]()], abs(own - model), budget
    while True:
        chosen = passed[-1]
        rest = [part for part in circuit.parts if part not in chosen]
        count = min(len(rest), CANDIDATES, len(rest) if left is None else left)
        if not count:
            return passed
        tried = [rest[i] for i in sorted(rng.choice(len(rest), size=count, replace=False))]
        found: Float[np.ndarray, " n"] = np.array(
            [abs(c - m) for c, m in gaps(bench, circuit, [chosen | {p} for p in tried])]
        )
        left = None if left is None else left - count
        if found.max() <= best:
            return passed
        best = float(found.max())
        passed.append(chosen | {tried[int(found.argmax())]})
