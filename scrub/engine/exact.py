"""Exact expectations on a computation graph: the same visit, with distributions of values instead of draws.

Distributions are propagated up the tree and memoised on (occurrence, row). Children of one call are independent
given its row, except that a `together` group shares its donor.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
from attrs import field, frozen

from scrub.claims.names import Component
from scrub.engine.draw import Classes, Draws
from scrub.engine.on_graph import GraphEvaluator
from scrub.engine.unroll import Occurrence, channels, rest_inputs
from scrub.errors import ModelError

Distribution = Mapping[Any, float]  # values of a site's components -> probability
Landed = dict[str, Any]  # path of a child -> its values


@frozen(eq=False)
class Exact:
    """Distributions of the answer of a claim, for a computation graph."""

    evaluator: GraphEvaluator
    draws: Draws
    # kept by path, row and shared row, for the claim and the model of these draws
    known: dict[Hashable, Distribution] = field(factory=dict[Hashable, Distribution])

    def answer(self, reference: int) -> Distribution:
        """The distribution of the output's value for one reference row."""
        tree = self.evaluator.program.tree
        if self.draws.claim.options.rest_scope != "draw":
            return _single(self.of(tree, reference, None))
        shared = self.rests(reference)
        return _single(_mixture((self.of(tree, reference, r), 1 / len(shared)) for r in shared))

    def baseline(self, reference: int) -> Distribution:
        """The distribution of what the empty claim answers."""
        keep = self.draws.claim.options.rest == "keep"
        drawn = self.rests(reference) if keep else self.choices(reference, None)
        whole = self.evaluator.rows.whole(np.array(drawn))
        return _mixture(({value: 1.0}, 1 / len(drawn)) for value in map(_hashable, whole))

    def rests(self, row: int) -> list[int]:
        return _members(self.draws.rests, row)

    def choices(self, row: int, shared: int | None) -> list[int]:
        """The rows that r may be for a calling row, all equally likely."""
        claim = self.draws.claim
        if claim.options.rest == "keep" or claim.options.pseudo:
            return [row]
        if claim.options.rest == "paired":
            return claim.partner(np.array([row])).tolist()
        return self.rests(row) if shared is None else [shared]

    def of(self, node: Occurrence, row: int, shared: int | None) -> Distribution:
        """The distribution of a site's values, a tuple by component; `shared` is the one r of scope `draw`."""
        key = (node.path, row, shared)
        if key not in self.known:
            self.known[key] = self._leaf(node, row) if node.leaf else self._call(node, row, shared)
        return self.known[key]

    def _leaf(self, node: Occurrence, row: int) -> Distribution:
        values = self.evaluator.rows.rows[row]
        return {_hashable(tuple(values[c.name] for c in node.placed.site.components)): 1.0}

    def _call(self, node: Occurrence, row: int, shared: int | None) -> Distribution:
        landed = _product(self._group(group, row, shared) for group in _groups(node))
        found: dict[Any, float] = {}
        for rests, weight in self._rests(node, row, shared):
            for values, probability in landed.items():
                site = _hashable(self.site(node, rests, dict(values)))
                found[site] = found.get(site, 0.0) + weight * probability
        return found

    def _group(self, group: tuple[Occurrence, ...], row: int, shared: int | None) -> dict[Any, float]:
        """Joint values, as (path, value) pairs, of children that share a donor."""
        donors = _members(self.draws.classes(group[0].agree), row)
        found: dict[Any, float] = {}
        for donor in donors:
            each = [{((c.path, v),): p for v, p in self.of(c, donor, shared).items()} for c in group]
            for values, probability in _product(each).items():
                found[values] = found.get(values, 0.0) + probability / len(donors)
        return found

    def _rests(self, node: Occurrence, row: int, shared: int | None) -> list[tuple[tuple[int, ...], float]]:
        inputs, choices = len(rest_inputs(self.draws.claim, node)), self.choices(row, shared)
        return [(r, 1 / len(choices) ** inputs) for r in product(choices, repeat=inputs)]

    def site(self, node: Occurrence, rests: tuple[int, ...], landed: Landed) -> tuple[Any, ...]:
        """The values of a site's nodes from rest rows and landed values; linked mates see one another."""
        site, made = node.placed.site, dict[Component, Any]()
        for component in sorted(site.components, key=self.evaluator.rows.model.order):
            mates = dict(made) if site.is_linked else {}
            read = {
                (component, name): self._read(component, name, rests[column], self._given(node, name, landed), mates)
                for column, (channel, owner) in enumerate(rest_inputs(self.draws.claim, node))
                if owner in (None, component)
                for name in ([channel] if owner else channels(self.draws.claim, component))
            }
            made[component] = self.evaluator.compute(component, read)
        return tuple(made[component] for component in site.components)

    def _given(self, node: Occurrence, channel: str, landed: Landed) -> dict[Component, Any]:
        """The values that a channel's parents put into its frame."""
        return {
            component: value
            for child in node.children
            if channel in child.channels
            for component, value in zip(child.placed.site.components, landed[child.path], strict=True)
        }

    def _read(
        self, component: Component, channel: str, row: int, given: dict[Component, Any], mates: dict[Component, Any]
    ) -> Any:
        if channel in self.evaluator.rows.model.channels(component):
            given = given | mates
        return self.evaluator.seen(channel, row, given) if given else self.evaluator.unseen(component, channel, row)


def expectation(distribution: Distribution, function: Callable[[list[Any]], np.ndarray]) -> float:
    """The mean of a function of the answers."""
    return float(np.dot(function(list(distribution)), list(distribution.values())))


def _groups(node: Occurrence) -> list[tuple[Occurrence, ...]]:
    """Children by donor: those of a `together` group share one."""
    found: dict[str, list[Occurrence]] = {}
    for child in node.children:
        found.setdefault(child.donor, []).append(child)
    return [tuple(group) for group in found.values()]


def _members(classes: Classes, row: int) -> list[int]:
    code = int(classes.code[row])
    start, size = int(classes.start[code]), int(classes.size[code])
    return classes.members[start : start + size].tolist() or [row]


def _product(parts: Iterable[Mapping[Any, float]]) -> dict[Any, float]:
    """The distribution of concatenated tuples of independent parts."""
    found: dict[Any, float] = {(): 1.0}
    for part in parts:
        joined: dict[Any, float] = {}
        for left, p in found.items():
            for right, q in part.items():
                joined[left + right] = joined.get(left + right, 0.0) + p * q
        found = joined
    return found


def _mixture(parts: Iterable[tuple[Distribution, float]]) -> Distribution:
    found: dict[Any, float] = {}
    for part, weight in parts:
        for value, probability in part.items():
            found[value] = found.get(value, 0.0) + weight * probability
    return found


def _single(distribution: Distribution) -> Distribution:
    return {values[0]: probability for values, probability in distribution.items()}


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        raise ModelError(
            f"exact=True enumerates values, and {value!r} cannot be hashed: let the nodes return numbers or tuples."
        ) from None
    return value
