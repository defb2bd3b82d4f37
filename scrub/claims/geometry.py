"""Whether a claim's edges can exist: positions in every row, layer order, overlap of siblings.

Frames differ from row to row, so every question about positions is asked of every row of the pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Int

from scrub.claims.dataset import Dataset
from scrub.claims.graphs import ModelGraph
from scrub.claims.names import Component
from scrub.claims.placement import Placed, PlacedSite, Placement
from scrub.claims.positions import ALL, Slot
from scrub.claims.problems import Problem
from scrub.claims.sites import Site
from scrub.errors import nearest, some


def check_geometry(
    placement: Placement, graph: ModelGraph, passed: frozenset[Component], data: Dataset
) -> Iterator[Problem]:
    """Problems of positions first; edges and overlaps only when every position is known."""
    found = list(_positions(placement, graph, data))
    yield from found
    if found:
        return
    for placed in placement.placed.values():
        for site in placed.sites:
            yield from _edges(placed, site, placement, graph, passed, data)
            yield from _overlaps(placed, site, placement, graph, data)
            yield from _coincidences_within(placed, site.site, data)


def slots_of(placement: Placement) -> tuple[Slot, ...]:
    """Every named slot of the claim, `all` left out, in alphabetical order."""
    return tuple(sorted({s for p in placement.placed.values() for site in p.sites for s in site.site.at} - {ALL}))


def _positions(placement: Placement, graph: ModelGraph, data: Dataset) -> Iterator[Problem]:
    for placed in placement.placed.values():
        for site in (s.site for s in placed.sites):
            if bool(site.at) != graph.sequence:
                kind = "needs at='END' or another position" if graph.sequence else "takes no position in a computation graph"
                yield Problem(f"{site} {kind}.", variable=placed.name, line=site.line)
                continue
            for slot in site.at:
                yield from _slot(placed.name, site, slot, data)


def _slot(variable: str, site: Site, slot: Slot, data: Dataset) -> Iterator[Problem]:
    if slot == ALL:
        return
    if slot.name and slot.name not in data.position_names:
        known = data.position_names
        yield Problem(
            f"the data have no position {slot.name!r}: they name {', '.join(known) or 'none'}.",
            "", nearest(slot.name, known), variable, line=site.line,
        )  # fmt: skip
        return
    missing = np.flatnonzero(data.locate(slot) < 0)
    if missing.size:
        yield Problem(
            f"position {slot} is missing in {missing.size} of {len(data)} rows: {some(missing)}.",
            "Every row needs every position that the claim uses.", variable=variable, line=site.line,
        )  # fmt: skip


def _edges(
    placed: Placed, site: PlacedSite, placement: Placement, graph: ModelGraph, passed: frozenset[Component], data: Dataset
) -> Iterator[Problem]:
    claimed = claims_of(placement, graph)
    for channel, parents in site.reads:
        for parent in parents:
            for source in (s.site for s in placement.placed[parent].sites):
                for reader in site.site.components:
                    if channel not in graph.channels(reader):
                        continue
                    reason = _cannot_carry(source, reader, site.site, channel, graph, passed, claimed, data)
                    if reason:
                        yield Problem(
                            f"{channel} of {reader} cannot read {parent!r} at {source}: {reason}",
                            variable=placed.name, line=site.site.line,
                        )  # fmt: skip


def claims_of(placement: Placement, graph: ModelGraph) -> frozenset[tuple[Component, Slot | None]]:
    """The finest components that sites of the claim hold, each with its slot: they are never passed through."""
    return frozenset(
        (atom, slot)
        for placed in placement.placed.values()
        for site in placed.sites
        for component in site.site.components
        for atom in graph.atoms(component)
        for slot in (site.site.at or (None,))
    )


def _cannot_carry(
    source: Site, reader: Component, at: Site, channel: str,
    graph: ModelGraph, passed: frozenset[Component],
    claimed: frozenset[tuple[Component, Slot | None]], data: Dataset,
) -> str:  # fmt: skip
    """Why no path leads from a site to a channel; empty when one does."""
    if not graph.sequence:
        free = frozenset(c for c in passed if (c, None) not in claimed)
        if any(graph.feeds(w, reader, channel) or graph.carries(w, reader, channel, free) for w in source.components):
            return ""
        return f"no edge or passed-through path leads from {source} into the argument {channel!r}."
    before = [w for w in source.components if graph.feeds(w, reader, channel)]
    if not before:
        return f"nothing there is written before {reader} reads."
    if channel in ("k", "v"):
        if graph.causal and not any(_relation(a, b, data, np.less_equal).any() for a in source.at for b in at.at):
            return "it lies after the reader in every row, and the mask hides it."
        return ""
    if any(_relation(a, b, data, np.equal).any() for a in source.at for b in at.at):
        return ""
    free = frozenset(c for c in passed if not any((c, slot) in claimed for slot in at.at))
    visible = any(_relation(a, b, data, np.less_equal if graph.causal else np.not_equal).any() for a in source.at for b in at.at)
    if visible and any(graph.carries(w, reader, channel, free) for w in before):
        return ""
    what = "queries are read" if channel == "q" else f"{channel!r} is read"
    return f"{what} at the reader's own position, {' '.join(map(str, at.at))}, and no passed-through head carries it there."


def _relation(a: Slot, b: Slot, data: Dataset, relation: np.ufunc) -> Bool[np.ndarray, " row"]:
    """Where the relation holds between two slots, row by row; `all` stands in every relation."""
    if ALL in (a, b):
        return np.ones(max(len(data), 1), dtype=bool)
    return relation(data.locate(a), data.locate(b))


def _overlaps(
    placed: Placed, site: PlacedSite, placement: Placement, graph: ModelGraph, data: Dataset
) -> Iterator[Problem]:
    """Siblings read through one channel must not hold the same part of the model at the same position."""
    seen: set[tuple[str, str]] = set()
    for channel, parents in site.reads:
        sources = [(p, s.site) for p in parents for s in placement.placed[p].sites]
        for (a, first), (b, second) in combinations(sources, 2):
            shared = _atoms(first, graph) & _atoms(second, graph)
            if not shared or (str(first), str(second)) in seen:
                continue
            rows = _coincide(first, second, data)
            if rows is None or rows.size:
                seen.add((str(first), str(second)))
                same = rows is None or rows.size == len(data)
                where = "" if same else f" in {rows.size} rows, where their positions coincide: {some(rows)}"
                yield Problem(
                    f"{a!r} at {first} and {b!r} at {second}, both read by {channel} of {site.site}, overlap{where}.",
                    f"They share {some(sorted(shared), 4)}; give each part to one of them.",
                    variable=placed.name, line=first.line,
                )  # fmt: skip


def _atoms(site: Site, graph: ModelGraph) -> frozenset[Component]:
    return frozenset(atom for c in site.components for atom in graph.atoms(c))


def _coincide(first: Site, second: Site, data: Dataset) -> Int[np.ndarray, " n"] | None:
    """Rows in which a position of one site is one of the other's; None when they are the same by name."""
    if not first.at or set(first.at) & set(second.at) or ALL in first.at + second.at:
        return None
    meet = np.zeros(len(data), dtype=bool)
    for a in first.at:
        for b in second.at:
            meet |= data.locate(a) == data.locate(b)
    return np.flatnonzero(meet)


def _coincidences_within(placed: Placed, site: Site, data: Dataset) -> Iterator[Problem]:
    for a, b in combinations(site.at, 2):
        rows = np.flatnonzero(data.locate(a) == data.locate(b))
        if rows.size:
            yield Problem(
                f"{a} and {b} of {site} are the same position in {rows.size} rows: {some(rows)}.",
                "Two slots of one component must differ in every row.", variable=placed.name, line=site.line,
            )  # fmt: skip
