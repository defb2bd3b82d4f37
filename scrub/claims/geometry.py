"""Whether a claim's edges can exist: positions in every row, layer order, overlap of siblings.

Frames differ from row to row, so every question about positions is asked of every row of the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.dataset import Dataset
from scrub.claims.overlap import shared_by
from scrub.claims.placement import PlacedSite, PlacedVariable, Placement, exists
from scrub.claims.problems import Problem
from scrub.claims.sites import Site
from scrub.claims.split import between, split
from scrub.errors import nearest, some

if TYPE_CHECKING:  # a check need not wait for its import
    from jaxtyping import Bool, Int

Mend = Callable[[str, str, Site, Site, Sequence[Site]], str]
Claims = frozenset[tuple[Component, Slot | None]]


@frozen(eq=False)
class _Ground:
    """What decides whether an edge can exist; `claimed` is never passed through."""

    graph: ModelGraph
    data: Dataset
    passed: frozenset[Component]
    claimed: Claims

    def free(self, at: Site, reader: Component) -> frozenset[Component]:
        """What may be passed through at a slot of a reader: components that no site of the claim holds there.

        A part of a stream takes its span of all that is written below it, as a whole stream takes it all.
        """
        below = self.graph.atoms(reader.host) if reader.is_part and reader.traits.is_stream else frozenset()
        passed = self.passed.difference(below)
        return frozenset(c for c in passed if any(_free(c, slot, self.claimed) for slot in at.at or (None,)))


def check_geometry(
    placement: Placement, graph: ModelGraph, passed: frozenset[Component], data: Dataset
) -> Iterator[Problem]:
    """Problems of positions, then of edges and overlaps between the sites that are known and located."""
    wrong: set[Site] = set()
    for placed in placement.placed.values():
        for site in (s.site for s in placed.sites):
            found = list(_positions(placed, site, graph, data)) if exists(site, graph) else []
            yield from found
            if found or not exists(site, graph):
                wrong.add(site)
    sound = {
        name: evolve(placed, sites=tuple(s for s in placed.sites if s.site not in wrong))
        for name, placed in placement.placed.items()
    }
    sites = {name: [s.site for s in placed.sites] for name, placed in sound.items()}
    ground = _Ground(graph, data, passed, claims_of(evolve(placement, placed=sound), graph))
    for placed in sound.values():
        for site in placed.sites:
            yield from _edges(placed, site, sites, ground)
            yield from _overlaps(placed, site, sites, graph, data)
            yield from _coincidences_within(placed, site.site, data)


def slots_of(placement: Placement) -> tuple[Slot, ...]:
    """Every named slot of the claim, `all` left out, in alphabetical order."""
    return tuple(sorted({s for p in placement.placed.values() for site in p.sites for s in site.site.at} - {ALL}))


def named_slots(placement: Placement, data: Dataset) -> tuple[Slot, ...]:
    """Positions that can be named in every row: those of the claim, and of the data's names those not among them."""
    found = list(slots_of(placement))
    for slot in map(Slot, data.position_names):
        where = data.locate(slot)
        if (where >= 0).all() and not any((where == data.locate(other)).all() for other in found):
            found.append(slot)
    return tuple(found)


def _positions(placed: PlacedVariable, site: Site, graph: ModelGraph, data: Dataset) -> Iterator[Problem]:
    if bool(site.at) != graph.sequence:
        needs = "needs at='END' or another position"
        kind = needs if graph.sequence else "takes no position in a computation graph"
        yield Problem(f"{site} {kind}.", variable=placed.name).at(site)
        return
    for slot in site.at:
        yield from _slot(placed.name, site, slot, data)


def _slot(variable: str, site: Site, slot: Slot, data: Dataset) -> Iterator[Problem]:
    if slot == ALL:
        return
    known = data.position_names
    if slot.name and slot.name not in known:
        found = f"the data have no position {slot.name!r}: they name {', '.join(known) or 'none'}."
        yield Problem(found, "", nearest(slot.name, known), variable).at(site)
        return
    missing = np.flatnonzero(data.locate(slot) < 0)
    if missing.size:
        found = f"position {slot} is missing in {missing.size} of {len(data)} rows: {some(missing)}."
        yield Problem(found, "Every row needs every position that the claim uses.", None, variable).at(site)


def _edges(
    placed: PlacedVariable, site: PlacedSite, sites: Mapping[str, Sequence[Site]], ground: _Ground
) -> Iterator[Problem]:
    for channel, parents in site.reads:
        for parent, source in ((p, s) for p in parents for s in sites.get(p, ())):
            for reader in site.site.components:
                if channel not in ground.graph.channels(reader):
                    continue
                reason, mend = _cannot_carry(source, reader, site.site, channel, ground)
                if reason:
                    found = f"{channel} of {reader} cannot read {parent!r} at {source}: {reason}"
                    fix = mend(parent, placed.name, source, site.site, sites[parent]) if mend else ""
                    yield Problem(found, fix, variable=placed.name).at(site.site)


def claims_of(placement: Placement, graph: ModelGraph) -> Claims:
    """The finest components that sites of the claim hold, each with its slot: never passed through."""
    return frozenset(
        (atom, slot)
        for placed in placement.placed.values()
        for site in placed.sites
        for component in site.site.components
        for atom in graph.atoms(component)
        for slot in (site.site.at or (None,))
    )


def _cannot_carry(
    source: Site, reader: Component, at: Site, channel: str, ground: _Ground
) -> tuple[str, Mend | None]:
    """Why no path leads from a site to a channel; empty when one does. And what could bring it there, if anything."""
    graph, data, free = ground.graph, ground.data, ground.free(at, reader)
    carried = any(graph.carries(w, reader, channel, free) for w in source.components)
    before = any(graph.feeds(w, reader, channel) for w in source.components)
    if not graph.sequence:
        why = f"no edge or passed-through path leads from {source} into the argument {channel!r}."
        return "" if before or carried else why, None
    if not before and all(c.traits.is_channel for c in source.components):
        own = " and ".join(sorted({f"{c.host} through {c.kind}" for c in source.components}))
        return f"queries, keys and values are read by their own heads alone, here by {own}.", None
    if not before:
        return f"nothing there is written before {reader} reads.", None
    if channel in ("k", "v"):
        hidden = graph.causal and not _anywhere(source, at, data, np.less_equal)
        return "it lies after the reader in every row, and the mask hides it." if hidden else "", None
    visible = _anywhere(source, at, data, np.less_equal if graph.causal else np.not_equal)
    if _anywhere(source, at, data, np.equal) or (visible and carried):
        return "", None
    what = "queries are read" if channel == "q" else f"{channel!r} is read"
    here = " ".join(map(str, at.at))
    held = reader.traits.is_stream and not reader.traits.is_output
    below = ": what is written below a claimed stream is not passed through" if held else ""
    why = f"{what} at the reader's own position, {here}, and no passed-through head carries it there{below}."
    return why, (between if held else split) if visible else None


def _free(component: Component, slot: Slot | None, claimed: Claims) -> bool:
    """Whether a component can be passed through at a slot: no site of the claim holds it there."""
    return (component, slot) not in claimed and (component, ALL) not in claimed


def _anywhere(source: Site, at: Site, data: Dataset, relation: np.ufunc) -> bool:
    """Whether a slot of one site stands in a relation to a slot of the other in some row."""
    return any(_relation(a, b, data, relation).any() for a in source.at for b in at.at)


def _relation(a: Slot, b: Slot, data: Dataset, relation: np.ufunc) -> Bool[np.ndarray, " row"]:
    """Where the relation holds between two slots, row by row; `all` stands in every relation."""
    if ALL in (a, b):
        return np.ones(max(len(data), 1), dtype=bool)
    return relation(data.locate(a), data.locate(b))


def _overlaps(
    placed: PlacedVariable, site: PlacedSite, sites: Mapping[str, Sequence[Site]], graph: ModelGraph, data: Dataset
) -> Iterator[Problem]:
    """Siblings read through one channel must not hold the same part of the model at the same position.

    The components of a linked site are siblings of its parents: the site reads them too.
    """
    seen: set[tuple[Site, Site]] = set()
    for channel, parents in site.reads:
        sources = [(p, s) for p in parents for s in sites.get(p, ())]
        sources += [(placed.name, site.site)] if site.site.is_linked else []
        for (a, first), (b, second) in combinations(sources, 2):
            shared = shared_by(first.components, second.components, graph)
            rows = _coincide(first, second, data) if shared else np.array([], dtype=np.int64)
            if not rows.size or (first, second) in seen:
                continue
            seen.add((first, second))
            everywhere = rows.size == len(data)
            where = "" if everywhere else f" in {rows.size} rows, where their positions coincide: {some(rows)}"
            read = f"both read by {channel} of {site.site}"
            yield Problem(
                f"{a!r} at {first} and {b!r} at {second}, {read}, overlap{where}.",
                f"They share {some(shared, 4)}; give each part to one of them.",
                variable=placed.name,
            ).at(first)


def _coincide(first: Site, second: Site, data: Dataset) -> Int[np.ndarray, " n"]:
    """Rows in which a position of one site is one of the other's."""
    if not first.at or not second.at:
        return np.arange(len(data))
    meet = np.zeros(len(data), dtype=bool)
    for a in first.at:
        for b in second.at:
            meet |= _relation(a, b, data, np.equal)
    return np.flatnonzero(meet)


def _coincidences_within(placed: PlacedVariable, site: Site, data: Dataset) -> Iterator[Problem]:
    for a, b in combinations(site.at, 2):
        rows = np.flatnonzero(data.locate(a) == data.locate(b))
        if rows.size:
            found = f"{a} and {b} of {site} are the same position in {rows.size} rows: {some(rows)}."
            fix = "Two slots of one component must differ in every row."
            yield Problem(found, fix, None, placed.name).at(site)
