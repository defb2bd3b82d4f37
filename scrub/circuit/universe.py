"""All parts that a circuit could have: what random circuits, complements and sweeps are taken from."""

from __future__ import annotations

from collections.abc import Iterable

from scrub.anatomy.edges import Edge, Node, Part
from scrub.anatomy.names import LOGITS, POS, Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.circuit import Circuit
from scrub.errors import ClaimError
from scrub.model.computation import Computation

Graph = TransformerGraph | Computation


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


def expand(circuit: Circuit, graph: Graph) -> Circuit:
    """The circuit in finest components: `attn l` as its heads, `resid l` as everything written before layer l."""
    if not isinstance(graph, TransformerGraph):
        return circuit
    nodes = {Node(atom, node.at) for node in circuit.nodes for atom in graph.atoms(node.component)}
    edges = {
        Edge(s, r, edge.channel, edge.at)
        for edge in circuit.edges
        for s in graph.atoms(edge.sender)
        for r in _readers(edge.receiver, graph)
        if graph.feeds(s, r, edge.channel)
    }
    return Circuit(frozenset(nodes), frozenset(edges))


def _readers(component: Component, graph: TransformerGraph) -> frozenset[Component]:
    return graph.atoms(component) if component.traits.attends else frozenset((component,))


def slots_in(circuit: Circuit) -> tuple[Slot, ...]:
    """The positions that a circuit names, in canonical order."""
    return tuple(sorted({part.at for part in (*circuit.nodes, *circuit.edges) if part.at is not None}))


def complement(
    circuit: Circuit, graph: Graph, passed: frozenset[Component], output: Component, positions: Iterable[Slot] = ()
) -> Circuit:
    """Every part that the circuit does not have, at its level.

    For a circuit with positions the parts are those at `positions` (default: the ones that it names). Raises
    ClaimError for a part with and without a position.
    """
    slots: tuple[Slot | None, ...] = tuple(positions) or slots_in(circuit) or (None,)
    if None in {part.at for part in circuit.parts} and slots != (None,):
        raise ClaimError("the complement of a circuit with parts at some positions and parts everywhere has no name.")
    everything: list[Part] = []
    if circuit.edges:
        everything += [
            Edge(e.sender, e.receiver, e.channel, s) for e in every_edge(graph, passed, output) for s in slots
        ]
    else:
        everything += [Node(c, slot) for c in free_writers(graph, passed) for slot in slots]
    own = expand(circuit, graph)
    return Circuit.from_parts(part for part in everything if part not in own)


def pruned(
    circuit: Circuit, graph: Graph, passed: frozenset[Component], output: Component
) -> tuple[Circuit, tuple[Part, ...]]:
    """The circuit without dead ends, and the edges that were removed.

    An edge is kept when it lies on a path of the circuit's edges from an input (an embedding, an input node) to
    the output; positions are not looked at. A circuit of components is returned as it is.
    """
    if not circuit.edges:
        return circuit, ()
    inputs = {
        c for c in writers(graph) if c.traits.given or (isinstance(graph, Computation) and c.name in graph.inputs())
    }
    if inputs & passed - {POS}:  # every component that reads it is live
        inputs |= {edge.sender for edge in circuit.edges}
    forward = _reached(inputs, [(e.sender, e.receiver) for e in circuit.edges])
    backward = _reached({output}, [(e.receiver, e.sender) for e in circuit.edges])
    live = frozenset(e for e in circuit.edges if e.sender in forward and e.receiver in backward)
    return Circuit(circuit.nodes, live, circuit.roles, circuit.made_for), tuple(sorted(circuit.edges - live))


def _reached(start: set[Component], arrows: list[tuple[Component, Component]]) -> set[Component]:
    found, growing = set(start), True
    while growing:
        new = {b for a, b in arrows if a in found} - found
        found |= new
        growing = bool(new)
    return found
