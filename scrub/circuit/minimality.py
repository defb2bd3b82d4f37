"""Minimality: is every part needed, in some context? (Wang et al. 2022, section 4)

The effect of a part v in a context K is |F(C \\ (K + v)) - F(C \\ K)|. The context is searched for on one half of the
rows and the effect measured on the other, and the random parts that v is tested against get the same search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import field, frozen
from jaxtyping import Bool

from scrub.anatomy.edges import Part
from scrub.anatomy.tolerances import AS_NECESSARY, AS_NECESSARY_ZERO
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.completeness import halves, sorted_parts
from scrub.circuit.random import pool_of, why_alone
from scrub.circuit.sequential import LEVEL, StoppingRule, drawn
from scrub.circuit.significance import holm
from scrub.claims.plain import as_dict

SINGLES, RANDOM_CONTEXTS = 12, 4


@frozen
class Needed:
    """The effect of one part in its context; `p` that it beats those of `n` random parts, `adjusted` by Holm.

    Where there are none, p is None and `reason` says why. Where the comparison stopped before all `most` random parts
    were drawn, it says so; else `most` is None.
    """

    part: str
    at: str | None
    effect: float
    context: tuple[str, ...]
    p: float | None
    adjusted: float | None
    n: int
    reason: str = ""
    most: int | None = None

    @property
    def minimal(self) -> bool:
        """Whether the part was shown to be needed."""
        return self.adjusted is not None and self.adjusted < LEVEL

    def to_dict(self) -> dict[str, Any]:
        said = {"reason": self.reason or None, "most": self.most}
        told = {name: value for name, value in said.items() if value is not None}
        return {**as_dict(self, *said), "minimal": self.minimal, **told}


Set = frozenset[Part]


@frozen(eq=False)
class Search:
    """Means of circuits on the two halves of the rows, each circuit run once."""

    searching: CircuitBench
    measuring: CircuitBench
    # kept by half of the rows and circuit, for these two benches
    known: dict[tuple[bool, Set], float] = field(factory=dict[tuple[bool, Set], float])

    def means(self, circuits: Sequence[Set], measured: bool) -> list[float]:
        bench, other = (self.measuring, self.searching) if measured else (self.searching, self.measuring)
        if other is not bench:
            other.let_go()
        new = list(dict.fromkeys(c for c in circuits if (measured, c) not in self.known))
        scores = bench.scores([Circuit.from_parts(parts) for parts in new]).mean(1) if new else []
        self.known.update({(measured, parts): float(score) for parts, score in zip(new, scores, strict=True)})
        return [self.known[measured, c] for c in circuits]

    def effects(self, parts: Sequence[tuple[Set, Part]], contexts: Sequence[Set]) -> list[tuple[float, Set]]:
        """For each (circuit, part) the effect of the part, in the context where it was largest on the other half."""
        cases = [(c, v, [k - {v} for k in contexts]) for c, v in parts]
        self.means([s for c, v, ks in cases for k in ks for s in (c - k, c - k - {v})], measured=False)
        chosen: list[tuple[Set, Part, Set]] = []
        for c, v, ks in cases:
            sizes = [self._effect(c, v, k, measured=False) for k in ks]
            chosen.append((c, v, ks[int(np.argmax(sizes))]))
        self.means([s for c, v, k in chosen for s in (c - k, c - k - {v})], measured=True)
        return [(self._effect(c, v, k, measured=True), k) for c, v, k in chosen]

    def _effect(self, circuit: Set, part: Part, context: Set, measured: bool) -> float:
        with_it, without_it = self.means([circuit - context, circuit - context - {part}], measured)
        return abs(without_it - with_it)


def minimality(
    bench: CircuitBench, circuit: Circuit, random: int = 100, stop: int | None = None
) -> tuple[Needed, ...]:
    """The effect of every part, and how it compares with `random` parts that do not belong to the circuit.

    The null of `p` is that the part matters more than at most 90 % of random parts, each added to the circuit
    and taken out again (the inflated circuits of Shi et al. 2024). Of 0 there are effects alone, as in Wang et al.
    All parts are compared with the same random ones, in the same contexts, each until `stop` of them matter as much
    (`StoppingRule.of`); no more are run than the last of the parts asks for.
    """
    bench.let_go()
    search = Search(*halves(bench.beside(circuit)))
    own: Set = frozenset(circuit.parts)
    contexts = contexts_of(circuit, bench.seed)
    found = search.effects([(own, part) for part in circuit.parts], contexts)
    others = others_of(bench, circuit, random)
    tolerance = AS_NECESSARY_ZERO + AS_NECESSARY * abs(search.means([own], measured=True)[0])
    effects = np.array([effect for effect, _ in found])

    def won(numbers: range) -> Bool[np.ndarray, "part other"]:
        rivals = search.effects([(own | {others[i]}, others[i]) for i in numbers], contexts)
        return effects[:, None] > np.array([effect for effect, _ in rivals]) + tolerance

    counts = drawn(StoppingRule.of(len(others), stop), len(found), won)
    tests = [count.p() if count.n else None for count in counts]
    names, reason = circuit.names(), "" if others else why_alone(circuit, bench.experiment.graph, random)
    return tuple(
        Needed(
            names[part], None if part.at is None else str(part.at), effect,
            tuple(names[p] for p in sorted_parts(context, names)), p, adjusted, count.n, reason, count.short,
        )
        for part, (effect, context), p, adjusted, count
        in zip(circuit.parts, found, tests, holm(tests), counts, strict=True)
    )  # fmt: skip


def contexts_of(circuit: Circuit, seed: int) -> list[Set]:
    """The contexts that are searched: none, every variable's parts, single parts, and random halves."""
    rng = np.random.default_rng([seed, 0xC7])
    parts = circuit.parts
    singles = parts
    if len(parts) > SINGLES:
        singles = [parts[i] for i in sorted(rng.choice(len(parts), size=SINGLES, replace=False))]
    halved = [frozenset(p for p in parts if rng.random() < 0.5) for _ in range(RANDOM_CONTEXTS)]
    roles = [role & frozenset(parts) for _, role in circuit.roles]
    return list(dict.fromkeys([frozenset(), *(r for r in roles if r), *(frozenset((p,)) for p in singles), *halved]))


def others_of(bench: CircuitBench, circuit: Circuit, number: int) -> list[Part]:
    """Random parts outside the circuit; drawn with replacement where there are fewer."""
    own = circuit.expanded(bench.experiment.graph)
    pool = [part for part in pool_of(circuit, bench.universe) if part not in own]
    if not pool:
        return []
    rng = np.random.default_rng([bench.seed, 0x1F1])
    return [pool[i] for i in rng.choice(len(pool), size=number, replace=len(pool) < number)]
