"""Pass 1: the claim becomes a tree. A variable with two readers occurs twice, one with two sites once for each.

The path of an occurrence is its chain of (channel, site) steps from the answer. It holds no names of variables,
so that rival claims which share a part draw the same rows there.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
from attrs import Factory, field, frozen

from scrub.anatomy.names import Component
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.shown import shown

ROOT_PATH = "answer"
DONOR, REST = "donor", "rest"  # the rows that an occurrence draws


@frozen(eq=False)
class Occurrence:
    """One node of the unrolled tree.

    `channels` are those through which its reader reads it; `agree` the variables on which its donor agrees with
    the calling row, and `donor` the path that this donor is drawn by (shared inside a `together` group), as `rest` is
    of its rest row. `withheld` are components of its site whose values neither its reader nor linked mates take: of a
    changed claim, whose occurrences are known by paths of their own and drawn by the claim's (`engine/without.py`).
    `own` says which of its rows (DONOR, REST) are not drawn but the calling row itself (`engine/given.py`).
    """

    variable: str
    placed: PlacedSite
    path: str
    channels: tuple[str, ...]
    leaf: bool
    agree: tuple[str, ...]
    donor: str
    children: tuple[Occurrence, ...] = field(default=())
    rest: str = field(default=Factory(lambda occurrence: occurrence.path, takes_self=True))
    withheld: frozenset[Component] = field(default=frozenset())
    own: frozenset[str] = field(default=frozenset())

    @property
    def is_root(self) -> bool:
        return self.rest == ROOT_PATH

    @property
    def given(self) -> tuple[Component, ...]:
        """The components whose values its reader takes."""
        return tuple(c for c in self.placed.site.components if c not in self.withheld)

    @property
    def site(self) -> str:
        return str(self.placed.site)

    @property
    def graph(self) -> nx.DiGraph[str]:
        """The tree as a networkx graph: see `as_networkx`."""
        return as_networkx(self)

    def walk(self) -> Iterator[Occurrence]:
        """This occurrence and all below it, a reader before its parents."""
        yield self
        for child in self.children:
            yield from child.walk()

    def __str__(self) -> str:
        return "\n".join(_lines(self, "", ""))

    def _repr_html_(self) -> str:
        return shown(self, "html")


@frozen
class _Branch:
    """What an occurrence and all below it look like, wherever they stand."""

    variable: str
    placed: PlacedSite
    channels: tuple[str, ...] = ()
    agree: tuple[str, ...] = ()


def unroll(claim: Claim) -> Occurrence:
    """The tree of a claim, from the answer down to the leaves."""
    output = claim.placement.placed[claim.placement.output]
    return _occur(claim, _Branch(output.name, output.sites[0]), ROOT_PATH, ROOT_PATH)


def folded(claim: Claim) -> Occurrence:
    """The tree with equal branches as one object, each known by the path at which it was met first.

    It has as many objects as there are different branches, however many occurrences they stand for; `walk` would
    visit all of those.
    """
    output = claim.placement.placed[claim.placement.output]
    return _occur(claim, _Branch(output.name, output.sites[0]), ROOT_PATH, ROOT_PATH, {})


def _occur(
    claim: Claim, branch: _Branch, path: str, donor: str, known: dict[_Branch, Occurrence] | None = None
) -> Occurrence:
    """An occurrence and all below it; a branch that is `known` is taken from there."""
    if known is not None and branch in known:
        return known[branch]
    variable, placed = claim.placement.placed[branch.variable], branch.placed
    children: list[Occurrence] = []
    steps = {
        (parent, site): f"{'+'.join(placed.channels_of(parent))}:{site.site.canonical}"
        for parent in placed.parents()
        for site in claim.placement.placed[parent].sites
    }
    for (parent, site), step in sorted(steps.items(), key=lambda item: item[1]):
        group = _group(claim, parent, placed.parents())
        shared = sorted(s for (p, _), s in steps.items() if p in group)
        drawn_by = step if len(group) == 1 else " & ".join(shared)
        below = _Branch(parent, site, placed.channels_of(parent), group)
        children.append(_occur(claim, below, f"{path}/{step}", f"{path}/{drawn_by}", known))
    leaf = variable.leaf and path != ROOT_PATH
    found = Occurrence(branch.variable, placed, path, branch.channels, leaf, branch.agree, donor, tuple(children))
    if known is not None:
        known[branch] = found
    return found


def _group(claim: Claim, parent: str, present: tuple[str, ...]) -> tuple[str, ...]:
    """The parents of this call that share a donor with `parent`, itself included."""
    members = {parent}
    while True:
        reached = {m for group in claim.options.together if members & set(group) for m in group if m in present}
        if reached <= members:
            return tuple(sorted(members))
        members |= reached


def as_networkx(tree: Occurrence) -> nx.DiGraph[str]:
    """The unrolled tree as a networkx graph; nodes are paths, edges run from parent to reader."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for occurrence in tree.walk():
        graph.add_node(occurrence.path, variable=occurrence.variable, site=occurrence.site, leaf=occurrence.leaf)
        for child in occurrence.children:
            graph.add_edge(child.path, occurrence.path, channels=child.channels)
    return graph


def rest_inputs(claim: Claim, occurrence: Occurrence) -> tuple[tuple[str, Component | None], ...]:
    """The inputs that draw a rest row of their own: one for all, or each channel of each component."""
    if claim.options.rest_scope != "input":
        return (("", None),)
    return tuple(
        (channel, component)
        for component in occurrence.placed.site.components
        for channel in channels(claim, component)
    )


def rest_paths(claim: Claim, occurrence: Occurrence) -> list[str]:
    """The path that the rest of each input is drawn by; with `rest_scope="draw"` the answer's, for the whole tree."""
    base = ROOT_PATH if claim.options.rest_scope == "draw" else occurrence.rest
    inputs = rest_inputs(claim, occurrence)
    return [base if component is None else f"{base}/{channel}:{component}" for channel, component in inputs]


def channels(claim: Claim, component: Component) -> tuple[str, ...]:
    """A component's channels; one that reads nothing (an input node) has its own value as `input`."""
    return claim.graph.channels(component) or ("input",)


def _lines(occurrence: Occurrence, lead: str, below: str) -> Iterator[str]:
    channels = f"<{' '.join(occurrence.channels)}> " if occurrence.channels else ""
    end = "" if occurrence.leaf else "  + rest"
    yield f"{lead}{channels}{occurrence.variable}  {occurrence.site}{end}"
    for i, child in enumerate(occurrence.children):
        last = i == len(occurrence.children) - 1
        yield from _lines(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))
