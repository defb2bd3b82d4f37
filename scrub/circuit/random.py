"""Random circuits of equal size: what a circuit has to be better than."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from attrs import evolve

from scrub.anatomy.edges import Edge, Node, Part
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.circuit import Circuit
from scrub.circuit.universe import Graph, Universe, every_edge, free_writers, is_input
from scrub.errors import ClaimError

TRIES = 200  # draws that may fail to give another circuit


def pool_of(circuit: Circuit, universe: Universe) -> tuple[Part, ...]:
    """What random parts are drawn from: all of the circuit's kinds, at the positions where it has such parts."""
    graph = universe.graph
    if circuit.edges:
        slots = sorted({e.at for e in circuit.edges}, key=str)
        everything = every_edge(graph, universe.passed, universe.output)
        return tuple(Edge(e.sender, e.receiver, e.channel, slot) for e in everything for slot in slots)
    own = circuit.expanded(graph)
    kinds: dict[str, set[Slot | None]] = {}
    for node in own.nodes:
        if not is_kept(node, graph):
            kinds.setdefault(node.component.kind, set()).add(node.at)
    found = [
        Node(component, slot)
        for component in (*free_writers(graph, universe.passed), *_neurons(own, graph))
        for slot in sorted(kinds.get(component.kind, ()), key=str)
    ]
    return tuple(node for node in found if not is_input(node, graph))


def _neurons(own: Circuit, graph: Graph) -> Iterator[Component]:
    """All neurons of the MLPs of which a circuit has some."""
    if isinstance(graph, TransformerGraph):
        for neuron in {evolve(n.component, unit=0) for n in own.nodes if n.component.traits.scalar}:
            yield from (evolve(neuron, unit=unit) for unit in range(neuron.traits.units(graph.shape)))


def is_kept(part: Part, graph: Graph) -> bool:
    """Whether every random circuit has a part of a circuit: an input, or what arrays say, such as directions."""
    return is_input(part, graph) or (isinstance(part, Node) and part.component.part is not None)


def only_one(circuit: Circuit, universe: Universe) -> bool:
    """Whether no other circuit of its size can be drawn: it has all parts of its kinds, at its positions."""
    graph = universe.graph
    own = circuit.expanded(graph).parts
    pool = [part for part in pool_of(circuit, universe) if part not in own]
    return not {_kind(part) for part in pool} & {_kind(part) for part in own if not is_kept(part, graph)}


def why_alone(circuit: Circuit, graph: Graph, asked: int | None = None) -> str:
    """Why nothing stands beside a circuit, of so many random ones that were asked for."""
    if asked == 0:
        return "random=0: nothing random was asked for, and so there is no null and no p"
    if all(is_input(part, graph) for part in circuit.expanded(graph).parts):
        return "the circuit has no parts but inputs, which every random circuit keeps"
    if all(is_kept(part, graph) for part in circuit.expanded(graph).parts):
        return "every random circuit keeps directions and latents: a test of the claim draws others of their size"
    return "nothing else can be drawn: the circuit has every part of its kinds, at its positions, that the model has"


def held_beside(circuit: Circuit, universe: Universe, held: frozenset[Node]) -> frozenset[Node]:
    """What random parts have the model's own value, where a circuit's `held` ones have: all that stand no later."""
    graph = universe.graph
    if not held:
        return held
    last = max(graph.order(node.component) for node in held)
    own = circuit.expanded(graph)
    named = {n.component for n in own.nodes} | {c for e in own.edges for c in (e.sender, e.receiver)}
    others = [n for n in pool_of(Circuit(own.nodes | held), universe) if isinstance(n, Node)]
    return held | {n for n in others if graph.order(n.component) <= last and n.component not in named}


def random_circuits(
    circuit: Circuit, universe: Universe, number: int, seed: int,
    *, outside: bool = False,
) -> list[Circuit]:  # fmt: skip
    """Circuits with as many parts of each kind as `circuit`, drawn without replacement.

    Its inputs, and directions and latents, are kept; other neurons are those of the same MLPs. None is the circuit
    itself, unless there is no other of its size. `outside` draws from what the circuit does not have, where that is
    enough (else from everything). Seeded by `seed` alone. Raises ClaimError when the circuit has nothing else.
    """
    graph = universe.graph
    own = circuit.expanded(graph)
    kept = [part for part in own.parts if is_kept(part, graph)]
    sizes = Counter(_kind(part) for part in own.parts if part not in kept)
    if not sizes:
        raise ClaimError(f"{why_alone(circuit, graph)}, so there are no random circuits of its size.")
    pool = pool_of(circuit, universe)
    rng = np.random.default_rng([seed, 0xC1C])
    choices: dict[str, list[Part]] = {}
    for kind, size in sizes.items():
        alike = [part for part in pool if _kind(part) == kind]
        others = [part for part in alike if part not in own]
        choices[kind] = others if outside and len(others) >= size else alike
    itself, found = frozenset(own.parts), list[Circuit]()
    for _ in range(number):
        parts = _drawn(kept, sizes, choices, rng)
        for _ in range(TRIES):  # the circuit itself would be a rival that it cannot beat
            if frozenset(parts) != itself:
                break
            parts = _drawn(kept, sizes, choices, rng)
        found.append(Circuit.from_parts(parts))
    return found


def _drawn(
    kept: list[Part], sizes: Counter[str], choices: dict[str, list[Part]], rng: np.random.Generator
) -> list[Part]:
    parts = list(kept)
    for kind, size in sizes.items():
        picked = rng.choice(len(choices[kind]), size=min(size, len(choices[kind])), replace=False)
        parts += [choices[kind][i] for i in sorted(picked)]
    return parts


def _kind(part: Part) -> str:
    return "edge" if isinstance(part, Edge) else part.component.kind
