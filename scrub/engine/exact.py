"""Exact expectations on a computation graph: the same visit, with distributions of values instead of draws.

Distributions are propagated up the tree. Children of one call are independent given its row, except that a `together`
group shares its donor. Values are numbered by their content, so that equal ones are one whatever they are made of
(arrays and tensors too), and rows are told apart no further than a site can: what is enumerated is distinct values
with their weights, not rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import product
from typing import Any, Literal, TypeVar

import numpy as np
from attrs import field, frozen
from jaxtyping import Float, Int

from scrub.anatomy.names import Component
from scrub.claims.content import alike, exactly, shown
from scrub.claims.values import codes, joint_codes
from scrub.engine.draw import Classes, Draws
from scrub.engine.on_graph import GraphEvaluator
from scrub.engine.unroll import DONOR, REST, Occurrence, channels
from scrub.errors import ModelError

Key = TypeVar("Key", bound=Hashable)
Distribution = Mapping[tuple[int, ...], float]  # numbers of the values of a site's components -> probability
Joint = Mapping[tuple[tuple[str, tuple[int, ...]], ...], float]  # (path of a child, numbers of its values) pairs
Rest = tuple[Literal["row", "stratum"], int]  # where r comes from: one row, or any rest row of a stratum
Frames = Callable[[Component, str], list[tuple[int, float]]]  # rows that are a channel's frame, with probabilities


@frozen(eq=False)
class Answers:
    """The distribution of an answer: its distinct values, and the probability of each."""

    values: list[Any]
    weights: Float[np.ndarray, " value"]

    def mean(self, function: Callable[[list[Any]], np.ndarray]) -> float:
        """The mean of a function of the answers."""
        return float(np.dot(function(self.values), self.weights))


class _Values:
    """Distinct values by number."""

    def __init__(self) -> None:
        self.listed: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        """The number of a value. Raises ModelError for one that nothing tells from another."""
        try:
            text = exactly(value)
        except ValueError:
            what = f"{shown(value)} ({type(value).__name__})"
            raise ModelError(
                f"exact=True enumerates values, and nothing tells {what} from another: let the nodes return numbers, "
                "texts, arrays, tensors or tuples of these."
            ) from None
        # By content, not by `==`, to which arrays have no one answer.
        if text not in self._numbers:
            self._numbers[text] = len(self.listed)
            self.listed.append(value)
        return self._numbers[text]


@frozen(eq=False)
class Exact:
    """Distributions of the answer of a claim, for a computation graph."""

    evaluator: GraphEvaluator
    draws: Draws
    # all are of the claim and the model of these draws; kept by content, and by path and rows
    _values: _Values = field(factory=_Values, init=False)
    _calls: dict[Hashable, Distribution] = field(factory=dict, init=False)
    _groups: dict[Hashable, Joint] = field(factory=dict, init=False)
    # kept by rest row and nodes; numbers of values by node, classes of rows by nodes
    _frames: dict[tuple[Rest, tuple[str, ...]], list[tuple[int, float]]] = field(factory=dict, init=False)
    _nodes: dict[str, Int[np.ndarray, " row"]] = field(factory=dict, init=False)
    _classes: dict[tuple[str, ...], Int[np.ndarray, " row"]] = field(factory=dict, init=False)
    # kept by path: the nodes that a branch reads
    _reads: dict[str, tuple[str, ...]] = field(factory=dict, init=False)

    def answer(self, reference: int, root: Occurrence | None = None) -> Answers:
        """The distribution of the output's value for one reference row; `root` is another of the program's roots."""
        tree = self.evaluator.program.roots[0] if root is None else root
        if self.draws.claim.options.rest_scope != "draw":
            return self._answers(self.of(tree, reference, None))
        shared = self.frames(self.rest(reference, None), tuple(self.evaluator.rows.model.nodes))
        return self._answers(_mixture((self.of(tree, reference, r), weight) for r, weight in shared))

    def baseline(self, reference: int) -> Answers:
        """The distribution of what the empty claim answers."""
        keep = self.draws.claim.options.rest == "keep"
        rest = self._resampled(reference) if keep else self.rest(reference, None)
        rows = np.array(self._rows(rest))
        whole = self.evaluator.rows.whole(rows)
        return self._answers(_mixture(({(self._values.number(v),): 1.0}, 1 / len(rows)) for v in whole))

    def _answers(self, distribution: Distribution) -> Answers:
        values = [self._values.listed[number] for (number,) in distribution]
        return Answers(values, np.array(list(distribution.values())))

    def rest(self, row: int, shared: int | None) -> Rest:
        """Where the r of a calling row comes from; `shared` is the one r of scope `draw`."""
        claim = self.draws.claim
        if claim.options.rest == "keep" or claim.options.pseudo:
            return "row", row
        if claim.options.rest == "paired":
            return "row", int(claim.partner(np.array([row]))[0])
        return self._resampled(row) if shared is None else ("row", shared)

    def _rest_of(self, node: Occurrence, row: int, shared: int | None) -> Rest:
        """Where the r of an occurrence comes from, which may be its own row."""
        return ("row", row) if REST in node.own else self.rest(row, shared)

    def _resampled(self, row: int) -> Rest:
        rests = self.draws.rests
        code = int(rests.code[row])
        return ("stratum", code) if rests.size[code] else ("row", row)

    def _rows(self, rest: Rest) -> list[int]:
        """The rows that r may be, all equally likely."""
        kind, number = rest
        return [number] if kind == "row" else _members(self.draws.rests, number)

    def frames(self, rest: Rest, names: tuple[str, ...]) -> list[tuple[int, float]]:
        """What r may be as far as nodes tell: a row for each of their distinct values, and its probability."""
        if (rest, names) not in self._frames:
            rows = np.array(self._rows(rest))
            _, first, count = np.unique(self._alike(names)[rows], return_index=True, return_counts=True)
            self._frames[rest, names] = list(zip(rows[first].tolist(), (count / len(rows)).tolist(), strict=True))
        return self._frames[rest, names]

    def _alike(self, names: tuple[str, ...]) -> Int[np.ndarray, " row"]:
        """Classes of rows whose frames have equal values at nodes."""
        rows = range(len(self.draws.claim.data))
        for name in names:
            if name not in self._nodes:
                self._nodes[name] = codes(alike(self.evaluator.rows.frame(row)[name]) for row in rows)
        if names not in self._classes:
            self._classes[names] = joint_codes([self._nodes[name] for name in names], len(rows))
        return self._classes[names]

    def of(self, node: Occurrence, row: int, shared: int | None) -> Distribution:
        """The distribution of a site's values; `shared` is the one r of scope `draw`."""
        key = (node.path, self._words(node, row, shared), shared)
        if key not in self._calls:
            self._calls[key] = {self._leaf(node, row): 1.0} if node.leaf else self._call(node, row, shared)
        return self._calls[key]

    def _words(self, node: Occurrence, row: int, shared: int | None) -> Hashable:
        """What a call knows of its row: rows of which it knows the same have one distribution."""
        if node.leaf:
            return self._leaf(node, row)
        kind, number = self._rest_of(node, row, shared)
        rest = int(self._alike(self._read_by(node))[number]) if kind == "row" else number
        return kind, rest, *(self._group_words(group, row) for group in _grouped(node))

    def _group_words(self, group: tuple[Occurrence, ...], row: int) -> Hashable:
        """What a group knows of the calling row: its class, or what a leaf gives on that row itself."""
        if DONOR in group[0].own:
            return self._leaf(group[0], row)
        return int(self.draws.classes(group[0].agree).code[row])

    def _leaf(self, node: Occurrence, row: int) -> tuple[int, ...]:
        values = self.evaluator.rows.rows[row]
        return tuple(self._values.number(values[c.name]) for c in node.placed.site.components)

    def _call(self, node: Occurrence, row: int, shared: int | None) -> Distribution:
        parts: list[Joint] = []
        for group in _grouped(node):  # no generators: a tree may be two hundred calls deep
            parts.append(self._group(group, row, shared))
        # Independent given the row: each group of children draws a donor of its own, so that distributions multiply.
        landed, rest = _product(parts), self._rest_of(node, row, shared)
        return _mixture((self.site(node, rest, dict(values)), p) for values, p in landed.items())

    def _group(self, group: tuple[Occurrence, ...], row: int, shared: int | None) -> Joint:
        """The joint distribution of the values of children that share a donor."""
        if DONOR in group[0].own:
            return _named(group[0], self.of(group[0], row, shared))
        classes = self.draws.classes(group[0].agree)
        code = int(classes.code[row])
        if (key := (tuple(child.path for child in group), code, shared)) not in self._groups:
            donors = _members(classes, code)
            words: dict[Hashable, list[int]] = {}
            for donor in donors:
                words.setdefault(tuple(self._words(child, donor, shared) for child in group), []).append(donor)
            mixed: list[tuple[Joint, float]] = []
            for same in words.values():
                parts: list[Joint] = []
                for child in group:
                    parts.append(_named(child, self.of(child, same[0], shared)))
                mixed.append((_product(parts), len(same) / len(donors)))
            self._groups[key] = _mixture(mixed)
        return self._groups[key]

    def site(self, node: Occurrence, rest: Rest, landed: Mapping[str, tuple[int, ...]]) -> Distribution:
        """The distribution of a site's values when its children's have landed."""
        if self.draws.claim.options.rest_scope == "input":  # an r for each channel of each component
            return self._made(node, landed, lambda c, name: self.frames(rest, self._sources(node, c, name)))
        whole = self.frames(rest, self._read_by(node))
        return _mixture((self._made(node, landed, _always(row)), weight) for row, weight in whole)

    def _made(self, node: Occurrence, landed: Mapping[str, tuple[int, ...]], frames: Frames) -> Distribution:
        """Component by component, in the order of the model; linked mates see one another."""
        site = node.placed.site
        order = sorted(site.components, key=self.evaluator.rows.model.order)
        found: Distribution = {(): 1.0}
        for component in order:
            seen: dict[tuple[int, ...], Distribution] = {}
            for made in found:
                if (mates := made if site.is_linked else ()) not in seen:
                    before = zip(order, mates, strict=False)
                    values = {c: self._values.listed[n] for c, n in before if c not in node.withheld}
                    seen[mates] = self._computed(node, component, landed, values, frames)
            found = {
                (*made, value): p * q
                for made, p in found.items()
                for (value,), q in seen[made if site.is_linked else ()].items()
            }
        place = [order.index(component) for component in site.components]
        return {tuple(made[i] for i in place): p for made, p in found.items()}

    def _computed(
        self, node: Occurrence, component: Component, landed: Mapping[str, tuple[int, ...]],
        mates: Mapping[Component, Any], frames: Frames,
    ) -> Distribution:  # fmt: skip
        """One component's values from the distinct values that each of its channels may read."""
        names = channels(self.draws.claim, component)
        read: list[list[tuple[Any, float]]] = []
        for name in names:
            given = self._given(node, name, landed)
            if name in self.evaluator.rows.model.channels(component):
                given |= mates
            read.append(self._read(component, name, given, frames(component, name)))
        found: dict[tuple[int, ...], float] = {}
        for choice in product(*read):
            given = {(component, name): value for name, (value, _) in zip(names, choice, strict=True)}
            value = (self._values.number(self.evaluator.compute(component, given)),)
            found[value] = found.get(value, 0.0) + math.prod(weight for _, weight in choice)
        return found

    def _given(self, node: Occurrence, channel: str, landed: Mapping[str, tuple[int, ...]]) -> dict[Component, Any]:
        """The values of children that a channel reads."""
        return {
            landing: self._values.listed[number]
            for child in node.children
            if channel in child.channels
            for landing, number in zip(child.placed.site.components, landed[child.path], strict=True)
            if landing not in child.withheld
        }

    def _read(
        self, component: Component, channel: str, given: Mapping[Component, Any], frames: list[tuple[int, float]]
    ) -> list[tuple[Any, float]]:
        """The distinct values that a channel may read, and their probabilities."""
        found: dict[str, tuple[Any, float]] = {}
        for row, weight in frames:
            seen = (
                self.evaluator.seen(channel, row, given) if given else self.evaluator.unseen(component, channel, row)
            )
            text = alike(seen) if len(frames) > 1 else ""
            found[text] = (seen, weight + found.get(text, (seen, 0.0))[1])
        return list(found.values())

    def _read_by(self, node: Occurrence) -> tuple[str, ...]:
        """The nodes of its frame on which the values of a site depend."""
        if node.path not in self._reads:
            each = (
                self._sources(node, component, name)
                for component in node.placed.site.components
                for name in channels(self.draws.claim, component)
            )
            self._reads[node.path] = tuple(sorted(set().union(*each)))
        return self._reads[node.path]

    def _sources(self, node: Occurrence, component: Component, channel: str) -> tuple[str, ...]:
        """The nodes of its frame on which what a channel reads depends, at most."""
        landing = {c.name for child in node.children if channel in child.channels for c in child.given}
        nodes = self.evaluator.rows.model.nodes
        if nodes[component.name].function is None:
            return (component.name,)
        if not landing and not node.placed.site.is_linked:
            return (channel,)
        found, ahead = ({channel} if node.placed.site.is_linked else set[str]()), [channel]
        # What landed hides all behind it: the walk back stops there.
        met = set(landing)
        while ahead:
            if (name := ahead.pop()) in met:
                continue
            met.add(name)
            if self.evaluator.is_free(name):
                ahead += nodes[name].arguments
            else:
                found.add(name)
        return tuple(sorted(found))


def _always(row: int) -> Frames:
    return lambda component, channel: [(row, 1.0)]


def _named(child: Occurrence, distribution: Distribution) -> Joint:
    return {((child.path, values),): p for values, p in distribution.items()}


def _grouped(node: Occurrence) -> list[tuple[Occurrence, ...]]:
    """Children by donor: those of a `together` group share one."""
    found: dict[str, list[Occurrence]] = {}
    for child in node.children:
        found.setdefault(child.donor, []).append(child)
    return [tuple(group) for group in found.values()]


def _members(classes: Classes, code: int) -> list[int]:
    start, size = int(classes.start[code]), int(classes.size[code])
    return classes.members[start : start + size].tolist()


def _product(parts: Iterable[Joint]) -> Joint:
    """The distribution of concatenated tuples of independent parts."""
    found: Joint = {(): 1.0}
    for part in parts:
        found = {left + right: p * q for left, p in found.items() for right, q in part.items()}
    return found


def _mixture(parts: Iterable[tuple[Mapping[Key, float], float]]) -> dict[Key, float]:
    found: dict[Key, float] = {}
    for part, weight in parts:
        for value, probability in part.items():
            found[value] = found.get(value, 0.0) + weight * probability
    return found
