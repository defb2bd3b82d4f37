"""All parts that a circuit could have: what random circuits, complements and sweeps are taken from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache

import networkx as nx
from attrs import frozen

from scrub.anatomy.edges import Edge, Node, Part
from scrub.anatomy.names import LOGITS, POS, Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.ends import ends_of
from scrub.errors import ClaimError
from scrub.model.computation import Computation

Graph = TransformerGraph | Computation
INPUTS = "inputs"  # a node before all of them, so that what they reach is one walk


@frozen
class Universe:
    """Where parts are drawn from: a model, what is passed through in it, and what it is asked for."""

    graph: Graph
    passed: frozenset[Component]
    output: Component


def writers(graph: Graph) -> tuple[Component, ...]:
    """Every finest component that writes, in the order of the model; in a graph every node but its ends."""
    if isinstance(graph, TransformerGraph):
        return graph.writers()
    return tuple(Component.for_node(name) for name in graph.nodes if name not in graph.ends)


def output_of(graph: Graph) -> Component:
    """The logits, or the last of a computation graph's ends."""
    return LOGITS if isinstance(graph, TransformerGraph) else Component.for_node(graph.ends[-1])


def free_writers(graph: Graph, passed: frozenset[Component]) -> tuple[Component, ...]:
    """The writers that can be ablated."""
    return tuple(component for component in writers(graph) if component not in passed)


def receivers(graph: Graph, passed: frozenset[Component], output: Component) -> tuple[tuple[Component, str], ...]:
    """Every channel that reads: those of the writers that are not passed through, and of the output."""
    readers = [c for c in free_writers(graph, passed) if not c.traits.given]
    return tuple((c, channel) for c in (*readers, output) for channel in graph.channels(c))


def every_edge(graph: Graph, passed: frozenset[Component], output: Component) -> tuple[Edge, ...]:
    """Every edge between components that are not passed through, in order."""
    senders = free_writers(graph, passed)
    channels = receivers(graph, passed, output)
    return tuple(Edge(s, r, c) for r, c in channels for s in senders if graph.feeds(s, r, c))


def is_input(part: Part, graph: Graph) -> bool:
    """Whether a part is an embedding or an input node: every random circuit keeps these."""
    if isinstance(part, Edge):
        return False
    component = part.component
    return component.traits.given or (isinstance(graph, Computation) and component.name in graph.inputs())


def expand(parts: Iterable[Part], graph: Graph) -> frozenset[Part]:
    """Parts in finest components: `attn l` as its heads, `resid l` as everything written before layer l."""
    if not isinstance(graph, TransformerGraph):
        return frozenset(parts)
    atoms = cache(graph.atoms)
    return frozenset(fine for part in parts for fine in _fine(part, graph, atoms))


def _fine(part: Part, graph: TransformerGraph, atoms: Callable[[Component], frozenset[Component]]) -> Iterator[Part]:
    if isinstance(part, Node):
        yield from (Node(atom, part.at) for atom in atoms(part.component))
        return
    readers = atoms(part.receiver) if part.receiver.traits.attends else (part.receiver,)
    for sender in atoms(part.sender):
        for reader in readers:
            if graph.feeds(sender, reader, part.channel):
                same = sender == part.sender and reader == part.receiver
                yield part if same else Edge(sender, reader, part.channel, part.at)


def slots_in(parts: Iterable[Part]) -> tuple[Slot, ...]:
    """The positions that parts name, in canonical order."""
    return tuple(sorted({part.at for part in parts if part.at is not None}))


def complement(
    parts: Collection[Part], graph: Graph, passed: frozenset[Component], output: Component,
    positions: Iterable[Slot] = (),
) -> Iterator[Part]:  # fmt: skip
    """Every part of the model that is not among these, edges where there are any of them.

    Of parts with positions those at `positions` (default: the ones that are named). Raises ClaimError for a part
    with and without a position, and for a part of a component.
    """
    if coded := [str(part) for part in parts if any(end.is_part for end in ends_of(part))]:
        raise ClaimError(
            f"{coded[0]}: what a part leaves of its host is no component, so that the complement has no name: run "
            "the model without the circuit, run_circuit(..., without=True)."
        )
    edges = [part for part in parts if isinstance(part, Edge)]
    kept = edges or list(parts)
    slots: tuple[Slot | None, ...] = tuple(positions) or slots_in(parts) or (None,)
    if None in {part.at for part in kept} and slots != (None,):
        raise ClaimError("the complement of a circuit with parts at some positions and parts everywhere has no name.")
    everything: Iterable[Part] = (
        (Edge(e.sender, e.receiver, e.channel, s) for e in every_edge(graph, passed, output) for s in slots)
        if edges
        else (Node(c, slot) for c in free_writers(graph, passed) for slot in slots)
    )
    own = expand(parts, graph)
    return (part for part in everything if part not in own)


def live(edges: Iterable[Edge], graph: Graph, passed: frozenset[Component], output: Component) -> frozenset[Edge]:
    """The edges that lie on a path of these from an input (an embedding, an input node) to the output.

    Positions are not looked at.
    """
    listed = list(edges)
    inputs = {c for c in writers(graph) if is_input(Node(c), graph)}
    if inputs & passed - {POS}:  # every component that reads it is live
        inputs |= {edge.sender for edge in listed}
    arrows: nx.DiGraph[Component | str] = nx.DiGraph((e.sender, e.receiver) for e in listed)
    arrows.add_nodes_from((INPUTS, output))
    arrows.add_edges_from((INPUTS, component) for component in inputs)
    forward, backward = nx.descendants(arrows, INPUTS), {output} | nx.ancestors(arrows, output)
    return frozenset(e for e in listed if e.sender in forward and e.receiver in backward)
