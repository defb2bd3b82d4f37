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
from scrub.circuit.bench import Bench
from scrub.circuit.circuit import Circuit

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
        named = {} if self.variable is None else {"variable": self.variable}
        return {**named, "parts": list(self.parts), "gap": self.gap, "circuit": self.circuit, "model": self.model}


@frozen
class Completeness:
    """`worst` was searched for greedily on one half of the rows, and its gap measured on the other."""

    worst: Gap
    random: tuple[float, ...]
    by_variable: tuple[Gap, ...]

    def to_dict(self) -> dict[str, Any]:
        random = {"mean": float(np.mean(self.random)), "max": max(self.random), "n": len(self.random)}
        variables = [gap.to_dict() for gap in self.by_variable]
        return {"worst": self.worst.to_dict(), "random": random, "by_variable": variables}


def completeness(bench: Bench, circuit: Circuit, budget: int | None = None, random: int = RANDOM) -> Completeness:
    """The gaps of random subsets, of every variable's parts, and of the worst set that greedy search finds.

    `budget`, at least 1, bounds the parts that greedy search tries.
    """
    names = circuit.names()
    searching, measuring = halves(bench)
    worst = _greedy(searching, circuit, budget)
    rng = np.random.default_rng([bench.seed, 0xC0])
    subsets = [frozenset(p for p in circuit.parts if rng.random() < 0.5) for _ in range(random)]
    own = frozenset(circuit.parts)
    roles = [(name, parts & own) for name, parts in circuit.roles if parts & own]
    found = gaps(bench, circuit, [*subsets, *(parts for _, parts in roles)])
    variables = tuple(_told(parts, names, *found[len(subsets) + i], name) for i, (name, parts) in enumerate(roles))
    at_worst = gaps(measuring, circuit, [worst])[0]
    return Completeness(
        _told(worst, names, *at_worst), tuple(abs(c - m) for c, m in found[: len(subsets)]), variables
    )


def _told(
    parts: frozenset[Part], names: dict[Part, str], own: float, model: float, variable: str | None = None
) -> Gap:
    return Gap(tuple(names[part] for part in sorted_parts(parts, names)), abs(own - model), own, model, variable)


def sorted_parts(parts: frozenset[Part], names: dict[Part, str]) -> list[Part]:
    return [part for part in names if part in parts]


def gaps(bench: Bench, circuit: Circuit, subsets: Sequence[frozenset[Part]]) -> list[tuple[float, float]]:
    """F(C \\ K) and F(M \\ K) for each K."""
    if not subsets:
        return []
    own = bench.scores([without(circuit, K) for K in subsets]).mean(1)
    model = bench.scores([Circuit.from_parts(K) for K in subsets], without=True).mean(1)
    return [(float(c), float(m)) for c, m in zip(own, model, strict=True)]


def without(circuit: Circuit, parts: frozenset[Part]) -> Circuit:
    """C \\ K."""
    return circuit - Circuit.from_parts(parts)


def halves(bench: Bench) -> tuple[Bench, Bench]:
    """The rows in two halves, drawn by the seed: one to search on, one to measure on. Few rows are used twice."""
    rows: Int[np.ndarray, " row"] = bench.rows
    if len(rows) < 4:
        return bench, bench
    order = np.random.default_rng([bench.seed, 0x4A1F]).permutation(len(rows))
    ranked = rows[np.argsort(bench.experiment.data.identities[rows], kind="stable")[order]]
    half = len(rows) // 2
    return bench.on(np.sort(ranked[:half])), bench.on(np.sort(ranked[half:]))


def _greedy(bench: Bench, circuit: Circuit, budget: int | None) -> frozenset[Part]:
    """Add, again and again, the part that widens the gap most, as long as one does."""
    rng = np.random.default_rng([bench.seed, 0x64EE])
    chosen, best, left = frozenset[Part](), 0.0, budget
    while True:
        rest = [part for part in circuit.parts if part not in chosen]
        count = min(len(rest), CANDIDATES, len(rest) if left is None else left)
        if not count:
            return chosen
        tried = [rest[i] for i in sorted(rng.choice(len(rest), size=count, replace=False))]
        found: Float[np.ndarray, " n"] = np.array(
            [abs(c - m) for c, m in gaps(bench, circuit, [chosen | {p} for p in tried])]
        )
        left = None if left is None else left - count
        if found.max() <= best:
            return chosen
        best, chosen = float(found.max()), chosen | {tried[int(found.argmax())]}
