"""The circuit that a claim names: its components at their positions, and an edge for every direct read."""

from __future__ import annotations

from collections.abc import Iterable

from scrub.anatomy.edges import Edge, Node, Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.universe import expand, is_input
from scrub.claims.placement import PlacedSite, PlacedVariable
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.model.computation import Computation


def claimed_parts(claim: Claim) -> Parts:
    """Components of every site but the output's; edges from each parent's components to the channels that read it.

    An edge stands at the position where the parent's value lies. Queries and inputs read their own position, so
    there an edge exists only where a position of the parent is one of the reader's (in every row). A query, key or
    value belongs to its head: what a whole one reads is an edge into that channel. A part of one, and one that reads
    no parents, is an end of edges.
    """
    roles: list[tuple[str, frozenset[Part]]] = []
    for name, placed in claim.placement.placed.items():
        if name == claim.placement.output:
            continue
        parts: set[Part] = {node for site in placed.sites for node in _nodes(site.site)}
        roles.append((name, frozenset(parts)))
    edges: dict[str, set[Part]] = {}
    for name, placed in claim.placement.placed.items():
        for site in placed.sites:
            edges.setdefault(name, set()).update(_edges(claim, placed, site))
    nodes = frozenset(part for _, parts in roles for part in parts if isinstance(part, Node))
    everything = frozenset(part for parts in edges.values() for part in parts if isinstance(part, Edge))
    named = dict(roles)
    joined = tuple(
        (name, named.get(name, frozenset()) | frozenset(edges.get(name, ()))) for name in claim.placement.placed
    )
    return Parts((*nodes, *everything), tuple((name, parts) for name, parts in joined if parts))


def leaves_of(claim: Claim, parts: Iterable[Part]) -> frozenset[Node]:
    """The nodes of a claim's leaves that parts have and that read something: no embeddings, no input nodes.

    A node that is also one of a variable with parents is none.
    """
    graph = claim.graph
    assert isinstance(graph, TransformerGraph | Computation)
    nodes: dict[bool, set[Node]] = {True: set(), False: set()}
    for name, placed in claim.placement.placed.items():
        if name != claim.placement.output:
            named = expand((node for site in placed.sites for node in _placed(site.site)), graph)
            nodes[placed.leaf] |= {node for node in named if isinstance(node, Node)}
    there = {p.component if isinstance(p, Node) else p.sender for p in expand(parts, graph)}
    found = nodes[True] - nodes[False]
    return frozenset(node for node in found if node.component in there and not is_input(node, graph))


def _nodes(site: Site) -> list[Node]:
    return [node for node in _placed(site) if not node.component.traits.is_channel]


def _placed(site: Site) -> list[Node]:
    return [Node(c, slot) for c in site.components for slot in _slots(site)]


def _slots(site: Site) -> tuple[Slot | None, ...]:
    return tuple(None if slot == ALL else slot for slot in site.at) or (None,)


def _edges(claim: Claim, placed: PlacedVariable, site: PlacedSite) -> list[Edge]:
    found: list[Edge] = []
    for channel, parents in site.reads:
        for parent in parents:
            for source in claim.placement.placed[parent].sites:
                senders = _senders(source.site, claim.placement.placed[parent].leaf)
                for slot in _slots(source.site):
                    if channel in ("k", "v") or _meets(claim, slot, site.site):
                        found += _between(claim.graph, senders, site.site, channel, slot)
    return found


def _senders(source: Site, leaf: bool) -> list[Component]:
    """What of a site sends: of whole queries, keys and values those of leaves; others are what their heads read."""
    return [c for c in source.components if leaf or c.part or not c.traits.is_channel]


def _between(
    graph: ModelGraph, senders: Iterable[Component], reader: Site, channel: str, slot: Slot | None
) -> list[Edge]:
    return [
        _edge(sender, receiver, channel, slot)
        for receiver in reader.components
        if channel in graph.channels(receiver)
        for sender in senders
        if graph.feeds(sender, receiver, channel)
    ]


def _edge(sender: Component, receiver: Component, channel: str, slot: Slot | None) -> Edge:
    """What a whole query reads is what its head reads through q."""
    if receiver.traits.is_channel and receiver.part is None:
        return Edge(sender, receiver.host, receiver.kind, slot)
    return Edge(sender, receiver, channel, slot)


def _meets(claim: Claim, slot: Slot | None, reader: Site) -> bool:
    """Whether a position of the parent is one that the reader itself reads, in some row."""
    if slot is None or not reader.at or ALL in reader.at:
        return True
    at = claim.data.locate(slot)
    return any(bool((at == claim.data.locate(other)).any()) for other in reader.at)
