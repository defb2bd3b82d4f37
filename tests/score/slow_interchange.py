"""Interchange interventions once more: slow, obvious, one call at a time, from the text of docs/ alone.

Of what is tested no line is used, of the oracle only how it runs a transformer with values placed in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch

from reference import Model, _world
from reference_models import OnTransformer, Pass
from reference_worlds import Frame, OnGraph, Values, index
from scrub.anatomy.names import Component
from scrub.claims.resolved import Claim
from scrub.claims.values import canonical, key
from scrub.model.layers import unembed


def placed_variables(claim: Claim) -> list[str]:
    """Every variable that the answer reads, but the answer."""
    return sorted(name for name in claim.placement.reached() if name != claim.placement.output)


def stratum(claim: Claim, row: int) -> list[int]:
    return [d for d in range(len(claim.data)) if claim.stratum[d] == claim.stratum[row]]


def differing(claim: Claim, name: str, row: int) -> list[int]:
    """The donors of an interchange."""
    values = claim.values[name]
    return [d for d in stratum(claim, row) if key(values[d]) != key(values[row])]


def told(claim: Claim, row: int, given: dict[str, Any]) -> Any:
    """The story's answer on a row, some variables set."""
    story = claim.hypothesis.story.variables

    def value(name: str) -> Any:
        if name in given or name not in story:
            return given[name] if name in given else claim.data.rows[row].columns[name]
        return canonical(story[name].function(**{parent: value(parent) for parent in story[name].parents}))

    return value(claim.placement.output)


class Intervened:
    """A model that runs a row with components set to what they were on other rows, all else computed anew."""

    def __init__(self, claim: Claim, model: Model) -> None:
        self.claim, self.model = claim, model
        self.world = _world(claim, model)
        self.plain = cache(lambda row: self.forward(row, {}))

    def output(self, row: int, donors: dict[str, int]) -> Any:
        """The output node's value, or the logits `[v]`, when the sites of each variable are as on its donor."""
        given: Values = {}
        for name, donor in donors.items():
            for placed in self.claim.placement.placed[name].sites:
                for component in placed.site.components:
                    given |= {(component, at): self.own(component, at, donor) for at in placed.site.at or (None,)}
        if isinstance(self.world, OnGraph):
            return self.node(self.claim.answer.components[0], row, given)
        (at,) = self.claim.answer.at
        return unembed(self.world.model, self.final(row, given))[index(self.claim, at, row)]

    def own(self, component: Component, at: Any, row: int) -> Any:
        if isinstance(self.world, OnGraph):
            return self.node(component, row, {})
        return self.world.compute(component, {}, self.plain(row))[index(self.claim, at, row)]

    def node(self, component: Component, row: int, given: Values) -> Any:
        node = self.model.nodes[component.name]
        if (component, None) in given:
            return given[component, None]
        if node.function is None:
            return self.claim.data.rows[row].columns[node.name]
        return node.function(**{a: self.node(Component.for_node(a), row, given) for a in node.arguments})

    def forward(self, row: int, given: Values) -> Any:
        assert isinstance(self.world, OnTransformer)
        embedded = {c: w for c, w in self.world.plain(row).items() if c.kind in ("embed", "pos")}
        return Pass(self.world, Frame(row, embedded), given).forward()

    def final(self, row: int, given: Values) -> torch.Tensor:
        return self.forward(row, given).reads["resid", len(self.model.blocks)]


def candidates(claim: Claim) -> set[Any]:
    """What the data's answers or the story's take, as keys."""
    return {key(value) for value in (*claim.values[claim.placement.output], *claim.data.column("label"))}


def best_answer(claim: Claim, output: Any) -> tuple[Any, float]:
    """The candidate that logits speak for, and by how much it is ahead of the next; a number speaks for its bin."""
    if not claim.graph.sequence:
        step = claim.hypothesis.story.variables[claim.placement.output].step
        return step * round(output / step), abs(output / step % 1 - 0.5)
    tokens = {k: sorted({*k[1:]} if isinstance(k, tuple) else {k}) for k in candidates(claim)}
    scores = {k: float(torch.logsumexp(output[ids], 0)) for k, ids in tokens.items()}
    ranked = sorted(scores, key=lambda k: -scores[k])
    return ranked[0], scores[ranked[0]] - scores[ranked[1]] if len(ranked) > 1 else np.inf


class Call(NamedTuple):
    """One interchange: what the story says (`star`), says unswapped (`own`), and what the model answers."""

    row: int
    weight: float
    star: Any
    own: Any
    best: Any
    agrees: bool
    sayable: bool


class Exchanges:
    """Interchanges of a claim, one at a time. `margin` is the smallest lead of any answer so far."""

    def __init__(self, claim: Claim, model: Model) -> None:
        self.claim, self.model, self.margin = claim, Intervened(claim, model), np.inf
        self.said = candidates(claim) if claim.graph.sequence else None  # a number may be any

    def best(self, row: int, donors: dict[str, int]) -> Any:
        found, margin = best_answer(self.claim, self.model.output(row, donors))
        self.margin = min(self.margin, margin)
        return found

    def star(self, row: int, donors: dict[str, int]) -> Any:
        return key(told(self.claim, row, {name: self.claim.values[name][donor] for name, donor in donors.items()}))

    def call(self, row: int, donors: dict[str, int], weight: float = 1.0) -> Call:
        star, own = self.star(row, donors), self.star(row, {})
        agrees = self.best(row, {}) == own
        return Call(row, weight, star, own, self.best(row, donors), agrees, self.said is None or star in self.said)

    def every(self, names: Sequence[str], rows: Iterable[int]) -> list[Call]:
        """All ways in which each of the variables can have a donor of its own."""
        found: list[Call] = []
        for row in rows:
            ways = list(product(*(differing(self.claim, name, row) for name in names)))
            found += [self.call(row, dict(zip(names, way, strict=True)), 1 / len(ways)) for way in ways]
        return found


def share(calls: Collection[Call], hit: Callable[[Call], bool], among: Callable[[Call], bool]) -> float | None:
    """The share of hits among the calls that count."""
    counted = [c for c in calls if among(c)]
    return sum(c.weight * hit(c) for c in counted) / sum(c.weight for c in counted) if counted else None


def exchanged(calls: Collection[Call]) -> dict[str, float | None]:
    """What is reported of a variable: the share of calls."""
    right, left = (lambda c: c.best == c.star), (lambda c: c.best != c.own)
    return {
        "moved": share(calls, right, lambda c: c.sayable and c.star != c.own),
        "stayed": share(calls, right, lambda c: c.sayable and c.star == c.own),
        "agreeing": share(calls, right, lambda c: c.sayable and c.star != c.own and c.agrees),
        "departed": share(calls, left, lambda c: not c.sayable and c.agrees),
        "unsaid": sum(c.weight * (not c.sayable) for c in calls) / max(sum(c.weight for c in calls), 1e-300),
    }
