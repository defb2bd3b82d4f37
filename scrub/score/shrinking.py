"""A claim is made as small as it can be while it stays as good, like a failing example of a property-based test.

In this order, each step being kept while all together lose less than `worth` on the rows that are searched: whole
variables, components, what a channel reads, and edges are dropped; fewer components are passed through; values are
merged. Draws are those of the claim itself. A claim that recovers more than it did is the new measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from attrs import evolve, field, frozen

from scrub.anatomy.names import print_components
from scrub.claims.code import Changes
from scrub.claims.edited import changed, coarser
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.parts import COMPONENT, EDGE, ClaimPart, parts_of
from scrub.claims.problems import ClaimProblems
from scrub.claims.resolved import Claim
from scrub.claims.smaller import places_without
from scrub.claims.values import Value, key
from scrub.engine.unroll import Occurrence
from scrub.engine.without import without
from scrub.score.revision import RevisionStep
from scrub.score.searched import Searched
from scrub.score.taken import Dropped, Taken

MOST_VALUES = 12  # of a variable whose values are merged: there are as many pairs as half their square
Dropping = tuple[str, Dropped]  # in words, and the parts


@frozen(eq=False)
class _Shrunk:
    """How far a claim has been shrunk: `loss` is what all of it cost, `least` what the best of it did."""

    taken: Taken
    dropped: Dropped = frozenset()
    changes: Changes = field(factory=Changes)
    loss: float = 0.0
    least: float = 0.0
    steps: tuple[RevisionStep, ...] = ()
    notes: tuple[str, ...] = ()

    def accepts(self, loss: float, worth: float) -> bool:
        return bool(np.isfinite(loss)) and loss - self.least < worth

    def step(self, what: str, loss: float) -> tuple[RevisionStep, ...]:
        return (*self.steps, RevisionStep(what, self.loss - loss))


def shrink_claim(search: Searched) -> tuple[Changes, tuple[RevisionStep, ...], tuple[str, ...]]:
    """What of a claim can go: its changes, how they were found, and what was not tried."""
    state = _Shrunk(Taken(search.bench, search.samples, search.seed, search.exact, search.done))
    state = _values(search, _through(search, _parts(search, state)))
    return state.changes, state.steps, state.notes


def _moved(state: _Shrunk, what: str, loss: float, **new: object) -> _Shrunk:
    return evolve(state, steps=state.step(what, loss), loss=loss, least=min(state.least, loss), **new)


def _parts(search: Searched, state: _Shrunk) -> _Shrunk:
    taken, claim = state.taken, search.bench.claim
    sets = list(_droppings(claim))
    alone = taken.without([dropped for _, dropped in sets], taken.everyone, taken.draws).mean(0)
    scale = search.samples.random.mean() - search.samples.top.mean()
    losses = (alone - taken.whole(taken.draws).mean()) / scale
    for (what, dropped), loss in zip(sets, losses.tolist(), strict=True):
        tree = without(taken.bench.tree, state.dropped)
        if not state.accepts(loss + state.least, search.worth) or not any(_lives(part, tree) for part in dropped):
            continue
        together = state.dropped | dropped
        if state.accepts(loss := taken.loss(together, taken.everyone), search.worth):
            state = _moved(state, what, loss, dropped=together)
    changes = Changes(places_without(claim, state.dropped)) if state.dropped else state.changes
    return evolve(state, changes=changes)


def _droppings(claim: Claim) -> Iterator[Dropping]:
    """What may be dropped together: large things first."""
    parts = [part for part in parts_of(claim) if part.kind in (COMPONENT, EDGE)]
    components = [part for part in parts if part.kind == COMPONENT]
    edges = [part for part in parts if part.kind == EDGE]
    by_variable = groupby(sorted(components, key=lambda p: p.variable), key=lambda p: p.variable)
    for variable, several in by_variable:
        yield f"without {variable}", frozenset(several)
    yield from ((f"{part.variable} without {part.component}", frozenset([part])) for part in components)
    for part in edges:
        same = [e for e in edges if (e.variable, e.site, e.channel) == (part.variable, part.site, part.channel)]
        if len(same) > 1 and same[0] == part and part.channel != "input":
            yield f"{part.variable}.{part.channel} @ {part.where} reads nothing", frozenset(same)
    yield from ((f"without the edge {part}", frozenset([part])) for part in edges)


def _lives(part: ClaimPart, tree: Occurrence) -> bool:
    """Whether a component or an edge is still in a tree."""
    here = [node for node in tree.walk() if (node.variable, node.placed) == (part.variable, part.site)]
    if part.component is not None:
        return any(part.component in node.given for node in here)
    read = (child for node in here for child in node.children if child.variable == part.parent)
    return any(part.channel in child.channels for child in read)


def _through(search: Searched, state: _Shrunk) -> _Shrunk:
    """Fewer components that are passed through: none, or layer by layer, the last first."""
    passed = sorted(search.bench.claim.passed)
    layers = [list(same) for _, same in groupby(passed, key=lambda c: (c.kind, c.layer, c.name))]
    for gone in ([passed] if passed else []) + ([] if len(layers) < 2 else layers[::-1]):
        before = state.changes.options.get("through")
        left = [c for c in passed if c not in gone and (before is None or str(c) in before)]
        if before is not None and not set(map(str, gone)) & set(before):
            continue
        changes = evolve(state.changes, options={"through": tuple(map(str, left))})
        claim = _resolved(search, evolve(changes, places={}, coarser={}))
        if claim is None:
            continue
        taken = evolve(state.taken, bench=search.bench_of(claim))
        if state.accepts(loss := taken.loss(state.dropped, taken.everyone), search.worth):
            what = f"nothing passes through {print_components(gone)}"
            state = _moved(state, what, loss, taken=taken, changes=changes)
    return state


def _resolved(search: Searched, changes: Changes) -> Claim | None:
    """A changed claim; None for one that cannot be said."""
    try:
        return search.resolve(changed(search.hypothesis, changes))
    except ClaimProblems:
        return None


def _values(search: Searched, state: _Shrunk) -> _Shrunk:
    """Values that are interchangeable become one: all of a variable's, or each joins the class that costs least."""
    claim = search.bench.claim
    tree = without(state.taken.bench.tree, state.dropped)
    left = dict.fromkeys(node.variable for node in tree.walk() if not node.is_root)
    for name in [name for name in left if name in claim.hypothesis.story.variables]:
        values = {key(value): value for value in claim.values[name]}
        if len(values) > MOST_VALUES:
            note = f"{name} has {len(values)} values: more than {MOST_VALUES} are not merged."
            state = evolve(state, notes=(*state.notes, note))
        elif len(values) > 1:
            state = _merged(search, state, name, list(values.values()))
    return state


def _merged(search: Searched, state: _Shrunk, name: str, values: Sequence[Value]) -> _Shrunk:
    whole = _tried(search, state, name, [list(values)])
    if whole is not None and state.accepts(whole[0], search.worth):
        return _coarsened(state, name, [list(values)], f"the values of {name} are one", whole)
    groups = [[value] for value in values[:1]]
    for value in values[1:]:
        found = [(i, _tried(search, state, name, _joined(groups, i, value))) for i in range(len(groups))]
        able = [(one[0], i, one[1]) for i, one in found if one is not None and state.accepts(one[0], search.worth)]
        if able:
            loss, i, claim = min(able, key=lambda one: one[:2])
            groups = _joined(groups, i, value)
            what = f"{value!r} and {groups[i][0]!r} of {name} are one value"
            state = _coarsened(state, name, groups, what, (loss, claim))
        else:
            groups = [*groups, [value]]
    return state


def _joined(groups: Sequence[Sequence[Value]], number: int, value: Value) -> list[list[Value]]:
    return [[*group, value] if i == number else list(group) for i, group in enumerate(groups)]


def _coarsened(
    state: _Shrunk, name: str, groups: Sequence[Sequence[Value]], what: str, tried: tuple[float, Claim]
) -> _Shrunk:
    loss, claim = tried
    classes = [tuple(group) for group in groups if len(group) > 1]
    changes = evolve(state.changes, coarser={**state.changes.coarser, name: classes})
    taken = evolve(state.taken, bench=evolve(state.taken.bench, claim=claim))
    return _moved(state, what, loss, changes=changes, taken=taken)


def _tried(
    search: Searched, state: _Shrunk, name: str, groups: Sequence[Sequence[Value]]
) -> tuple[float, Claim] | None:
    """What it costs to merge values, and the claim; None where its story would answer something else."""
    classes = [tuple(group) for group in groups if len(group) > 1]
    hypothesis = _so_far(search.hypothesis, state)
    try:
        claim = search.resolve(coarser(hypothesis, **{**state.changes.coarser, name: classes}))
    except ClaimProblems:
        return None
    output, before = claim.placement.output, search.bench.claim
    if list(map(key, claim.values[output])) != list(map(key, before.values[output])):
        return None
    taken = evolve(state.taken, bench=evolve(state.taken.bench, claim=claim))
    return taken.loss(state.dropped, taken.everyone), claim


def _so_far(hypothesis: Hypothesis, state: _Shrunk) -> Hypothesis:
    """The claim with what is passed through, and all of its parts: those that are dropped are taken from its tree."""
    return changed(hypothesis, Changes(options=state.changes.options))
