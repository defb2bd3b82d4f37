"""When one claim says all that another says, and more: its sites contain the other's, its values decide them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.claims.values import joint_codes

Rows = Int[np.ndarray, " row"]
Place = tuple[Component, str | bytes]  # a finest component, and where its slot is in every row
EVERYWHERE, NOWHERE = "all", ""


def refines(fine: Claim, coarse: Claim) -> bool:
    """Whether `fine` refines `coarse`, claims about one model and one pool.

    Every component at every position where a swapped variable of `coarse` lives is also one of `fine`, and rows that
    agree there on the variables of `fine` (and on its `within`) agree on that of `coarse`. The answer is not
    swapped, and has no say. Where both say as much of sites and values, `fine` has all edges of `coarse` as well.
    """
    return _decides(fine, coarse) and (not _decides(coarse, fine) or _edges(coarse) <= _edges(fine))


def _decides(fine: Claim, coarse: Claim) -> bool:
    """Whether the sites and values of one claim decide those of another."""
    held = _places(fine)
    for place, names in _places(coarse).items():
        there = [*held.get(place, ()), *held.get((place[0], EVERYWHERE), ())]
        if not there:
            return False
        if not all(determines(_classes(fine, tuple(there)), _classes(coarse, (name,))) for name in names):
            return False
    return True


def determines(fine: Rows, coarse: Rows) -> bool:
    """Whether rows of one class of `fine` are always of one class of `coarse`."""
    return len(np.unique(joint_codes([fine, coarse], len(fine)))) == len(np.unique(fine))


def swapped(claim: Claim) -> tuple[str, ...]:
    """The variables that a claim swaps: all that the answer reads, directly or not, without the answer."""
    return tuple(name for name in claim.placement.reached() if name != claim.placement.output)


def sites_of(claim: Claim) -> list[tuple[str, PlacedSite]]:
    """Every site of a swapped variable, with its variable."""
    return [(name, site) for name in swapped(claim) for site in claim.placement.placed[name].sites]


def _places(claim: Claim) -> dict[Place, list[str]]:
    """Variables by the finest components and the positions where they live."""
    found: dict[Place, list[str]] = {}
    for name, placed in sites_of(claim):
        for place in _atoms(claim, placed):
            found.setdefault(place, []).append(name)
    return found


def _edges(claim: Claim) -> set[tuple[str, Place, Place]]:
    """What reads what, through which channel, in the finest components and by the positions themselves."""
    placed = claim.placement.placed
    readers = [*placed[claim.placement.output].sites, *(site for _, site in sites_of(claim))]
    return {
        (channel, reader, sender)
        for site in readers
        for channel, parents in site.reads
        for reader in _atoms(claim, site)
        for parent in parents
        for source in placed[parent].sites
        for sender in _atoms(claim, source)
    }


def _atoms(claim: Claim, placed: PlacedSite) -> list[Place]:
    slots = [_where(claim, slot) for slot in placed.site.at] or [NOWHERE]
    return [(a, slot) for c in placed.site.components for a in claim.graph.atoms(c) for slot in slots]


def _where(claim: Claim, slot: Slot) -> str | bytes:
    """The index of a slot in every row: two slots that are always the same position are one."""
    return EVERYWHERE if slot == ALL else claim.data.locate(slot)[claim.data.order].tobytes()


def _classes(claim: Claim, names: tuple[str, ...]) -> Rows:
    """Class numbers in the order of row digests, which two loads of the data share."""
    return claim.classes(names)[claim.data.order]
