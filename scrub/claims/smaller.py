"""A claim without some of its parts, said as a claim: which sites change, and what they omit."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from scrub.claims.parts import ClaimPart
from scrub.claims.placement import PlacedSite, placed_parents
from scrub.claims.resolved import Claim
from scrub.claims.sites import Place, Site, inside

Sites = dict[str, list[PlacedSite]]


def places_without(claim: Claim, dropped: frozenset[ClaimPart]) -> dict[str, Place | None]:
    """The entries of a claim that change where components and edges are dropped.

    A parent that nobody reads any more loses its site: a variable is computed inside its readers, a column has none.
    It keeps it where a reader would be left without a placed parent, since that would be a leaf, which reads all.
    """
    story, placed = claim.hypothesis.story, claim.placement.placed
    left = {name: [_left(name, site, dropped) for site in one.sites] for name, one in placed.items()}
    left = {name: [site for site in sites if site.site.components] for name, sites in left.items()}
    kept = _needed(claim, left)
    before = claim.hypothesis.correspondence()
    places: dict[str, Place | None] = dict(before)
    for name in placed:
        if name not in kept:
            places[name] = inside if name in story.variables else None
    now: Mapping[str, Place] = {name: place for name, place in places.items() if place is not None}
    for name in kept:
        sites = left[name] or list(placed[name].sites)
        parents = placed_parents(story, now, name)
        made = tuple(_said(site, parents, sites) for site in sites)
        if made != tuple(_said(s, placed[name].parents, placed[name].sites) for s in placed[name].sites):
            (first, *more) = made
            places[name] = made if more else first
    return {name: place for name, place in places.items() if place is not before.get(name)}


def _left(name: str, placed: PlacedSite, dropped: frozenset[ClaimPart]) -> PlacedSite:
    """A site with the components and reads that are left."""
    components = tuple(c for c in placed.site.components if ClaimPart(name, placed, c) not in dropped)
    reads = [
        (channel, tuple(p for p in parents if ClaimPart(name, placed, None, channel, p) not in dropped))
        for channel, parents in placed.reads
    ]
    return PlacedSite(evolve(placed.site, components=components), tuple((c, names) for c, names in reads if names))


def _needed(claim: Claim, left: Sites) -> list[str]:
    """The variables that keep a site: those that the answer still reads, and one parent of a reader without any."""
    placed, found, ahead = claim.placement.placed, dict[str, None](), [claim.placement.output]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found[name] = None
            read = [parent for site in left[name] for parent in site.parents() if left[parent]]
            unread = list(placed[name].parents[:1])  # a variable without placed parents would be a leaf
            ahead += read or unread
    return [name for name in placed if name in found]


def _said(placed: PlacedSite, parents: tuple[str, ...], sites: list[PlacedSite] | tuple[PlacedSite, ...]) -> Site:
    """A site that says what it reads, and omits what no site of its variable reads."""
    reads = tuple((c, kept) for c, names in placed.reads if (kept := tuple(n for n in names if n in parents)))
    read = {name for site in (sites if reads else ()) for name in site.parents()}
    return evolve(placed.site, reading=reads or None, omitted=tuple(p for p in parents if p not in read))
