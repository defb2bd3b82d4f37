"""A claim with other components in its sites: parts with the rest of their hosts, whole hosts, other parts.

Its tree has the paths of the claim's own, so that every draw is shared: what differs is what the sites give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from attrs import evolve

from scrub.anatomy.names import Component
from scrub.anatomy.part import DIRECTIONS, LATENTS, HostPart, array_digest, orthonormal, what_is_left_by
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.geometry import check_geometry
from scrub.claims.holds import Where
from scrub.claims.overlap import shared_by
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.engine.unroll import Occurrence
from scrub.errors import ClaimError

Components = tuple[Component, ...]


def leaves_something(component: Component) -> bool:
    """Whether there is more to the host than the part: a whole query is all that its channel has."""
    return component.part is not None or component.traits.scalar


def whole_of(component: Component) -> Component:
    """The host as its code knows it: the MLP of a neuron, the query of which a part is a subspace."""
    return component.host if component.traits.scalar else component.whole


def sites_with_parts(claim: Claim) -> dict[Where, PlacedSite]:
    """The sites that are scrubbed and hold parts that leave something of their hosts."""
    placed = claim.placement.placed
    every = {(name, i): site for name in claim.placement.reached() for i, site in enumerate(placed[name].sites)}
    return {where: s for where, s in every.items() if any(map(leaves_something, s.site.components))}


def wholes(claim: Claim) -> dict[Where, Components]:
    """Every site with whole hosts in the place of parts."""
    return {
        where: _distinct(whole_of(c) if leaves_something(c) else c for c in placed.site.components)
        for where, placed in sites_with_parts(claim).items()
    }


def tied(claim: Claim, where: Where) -> dict[Where, Components]:
    """One site with its hosts whole, but for parts of them that other sites hold at its slots."""
    placed = claim.placement.placed[where[0]].sites[where[1]]
    own = placed.site.components
    kept = [c for c in own if not leaves_something(c)]
    for whole in sorted({whole_of(c) for c in own if leaves_something(c)}):
        mine = [c for c in own if leaves_something(c) and whole_of(c) == whole]
        kept += _without(
            claim, whole, [c for c in _others(claim, where, whole) if not shared_by([c], mine, claim.graph)]
        )
    return {where: _distinct(kept)}


def _others(claim: Claim, where: Where, whole: Component) -> list[Component]:
    """The parts of a host that other sites hold at slots of a site, in some row."""
    at = claim.placement.placed[where[0]].sites[where[1]].site.at
    return sorted({
        c for other, placed in sites_with_parts(claim).items() if other != where and _meet(claim, at, placed.site.at)
        for c in placed.site.components if leaves_something(c) and whole_of(c) == whole
    })  # fmt: skip


def _meet(claim: Claim, first: tuple[object, ...], second: tuple[object, ...]) -> bool:

    pairs = [(a, b) for a in first for b in second if isinstance(a, Slot) and isinstance(b, Slot)]
    return any(
        ALL in pair or bool((claim.data.locate(pair[0]) == claim.data.locate(pair[1])).any()) for pair in pairs
    )


def _without(claim: Claim, whole: Component, others: list[Component]) -> list[Component]:
    """A host, or what parts of it leave. Raises ClaimError for parts of several kinds."""
    if not others:
        return [whole]
    if all(c.traits.scalar for c in others):
        assert isinstance(claim.graph, TransformerGraph)
        units = range(others[0].traits.units(claim.graph.shape))
        return [c for unit in units if (c := evolve(others[0], unit=unit)) not in others]
    parts = [c.part for c in others if c.part is not None]
    codes = {part.code for part in parts}
    if codes == {DIRECTIONS}:
        return [evolve(whole, part=_complement([part.arrays["basis"] for part in parts]))]
    if codes == {LATENTS} and len({part.settings for part in parts}) == 1:
        if parts[0].setting("reads"):
            raise ClaimError(f"what a transcoder leaves of {whole} is not known by what {whole} writes alone.")
        return [evolve(whole, part=what_is_left_by(parts))]
    raise ClaimError(f"parts of several kinds are claimed of {whole}: {', '.join(map(str, others))}.")


def _complement(bases: list[np.ndarray]) -> HostPart:
    """All directions that are orthogonal to those of some bases."""
    taken = orthonormal(np.concatenate([orthonormal(basis) for basis in bases]))
    _, _, every = np.linalg.svd(taken, full_matrices=True)
    return subspace(every[len(taken) :], "the rest")


def subspace(basis: np.ndarray, name: str) -> HostPart:
    held = {"basis": basis}
    return HostPart(DIRECTIONS, array_digest(held), name=name, arrays=held)


def replaced(claim: Claim, components: Mapping[Where, Components]) -> Claim:
    """The claim with other components in some sites. Raises ClaimError where they cannot stand there together."""
    placed = dict(claim.placement.placed)
    for (name, index), others in components.items():
        sites = list(placed[name].sites)
        sites[index] = evolve(sites[index], site=evolve(sites[index].site, components=others))
        placed[name] = evolve(placed[name], sites=tuple(sites))
    placement = evolve(claim.placement, placed=placed)
    for problem in check_geometry(placement, claim.graph, claim.passed, claim.data):
        raise ClaimError(problem.found)
    return evolve(claim, placement=placement)


def retold(tree: Occurrence, claim: Claim, other: Claim) -> Occurrence:
    """The tree of a claim with the sites of another one that differs in their components alone."""
    known: dict[int, Occurrence] = {}  # a branch of a folded tree stands in it several times

    def visit(node: Occurrence) -> Occurrence:
        if id(node) not in known:
            index = claim.placement.placed[node.variable].sites.index(node.placed)
            placed = other.placement.placed[node.variable].sites[index]
            known[id(node)] = evolve(node, placed=placed, children=tuple(map(visit, node.children)))
        return known[id(node)]

    return visit(tree)


def _distinct(components: Iterator[Component] | list[Component]) -> Components:
    return tuple(sorted(set(components)))
