"""Random circuits, connected ones, complements and dead ends: against sets and against paths in networkx."""

from __future__ import annotations

from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest

from scrub import zoo
from scrub.anatomy.edges import Edge, Node, Part
from scrub.anatomy.names import Component
from scrub.anatomy.positions import parse_slots
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.circuit import Circuit
from scrub.circuit.random import is_input, pool_of, random_circuits
from scrub.circuit.universe import Universe, every_edge, free_writers
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.source import find

GRAPH = TransformerGraph("compiled-or", zoo.shape("compiled-or"))
DEEP = TransformerGraph("names", zoo.shape("names"))  # with MLPs
LOGITS, POS = Component("logits"), Component("pos")
PASSED = frozenset({POS})
NODES = Circuit.parse("embed @ ASK, embed @ KEY, 0.0 @ END, 0.2 @ VALUE, 1.0 @ END")
EDGES = Circuit.parse("embed -> 0.0.v @ ASK, 0.0 -> 1.0.q @ END, 1.0 -> logits @ END")


def complement(circuit: Circuit, *given: Any) -> Circuit:
    return circuit.complement_in(*given)


def pruned(circuit: Circuit, *given: Any) -> tuple[Circuit, tuple[Edge, ...]]:
    """The circuit without dead ends, and these."""
    found = circuit.pruned_in(*given)
    return found, tuple(sorted(circuit.edges - found.edges))


def drawn(circuit: Circuit, number: int = 30, seed: int = 0, outside: bool = False) -> list[Circuit]:
    return random_circuits(circuit, Universe(GRAPH, PASSED, LOGITS), number, seed, outside=outside)


def sizes(circuit: Circuit) -> Counter[str]:
    return Counter("edge" if isinstance(part, Edge) else part.component.kind for part in circuit)


# random circuits


@pytest.mark.parametrize("circuit", [NODES, EDGES], ids=["components", "edges"])
@pytest.mark.parametrize("outside", [False, True])
def test_random_circuits_have_as_many_parts_of_each_kind(circuit: Circuit, outside: bool) -> None:
    found = drawn(circuit, outside=outside)
    assert len(found) == 30
    for some in found:
        assert sizes(some) == sizes(circuit)
        assert some.checked(GRAPH) is some
        assert {part.at for part in some} <= {part.at for part in circuit}


def test_kinds_are_drawn_apart() -> None:
    circuit = Circuit.parse("0.0, 0.1, mlp 1")
    for some in random_circuits(circuit, Universe(DEEP, PASSED, LOGITS), 20, 0):
        assert sizes(some) == {"head": 2, "mlp": 1}


def test_a_whole_layer_counts_as_its_heads() -> None:
    assert {len(some) for some in drawn(Circuit.parse("attn 0"))} == {4}


def test_inputs_are_kept_and_never_drawn() -> None:
    inputs = {part for part in NODES if is_input(part, GRAPH)}
    assert len(inputs) == 2
    for outside in (False, True):
        assert all({p for p in some if is_input(p, GRAPH)} == inputs for some in drawn(NODES, outside=outside))
    assert not any(is_input(part, GRAPH) for part in pool_of(NODES, Universe(GRAPH, PASSED, LOGITS)))


def test_random_circuits_are_those_of_their_seed() -> None:
    assert drawn(NODES) == drawn(NODES)
    assert drawn(NODES, seed=1) != drawn(NODES)
    assert len({some.nodes for some in drawn(NODES)}) > 15
    assert drawn(NODES, 5) == drawn(NODES, 30)[:5]


@pytest.mark.parametrize("circuit", [NODES, EDGES], ids=["components", "edges"])
def test_outside_avoids_the_circuit(circuit: Circuit) -> None:
    own = {part for part in circuit if not is_input(part, GRAPH)}
    assert all(not own & set(some) for some in drawn(circuit, outside=True))
    assert any(own & set(some) for some in drawn(circuit, 300))


def test_outside_draws_from_everything_where_too_little_is_left() -> None:
    """Five of eight heads: three others are not enough."""
    found = drawn(Circuit.parse("0.0, 0.1, 0.2, 0.3, 1.0"), outside=True)
    assert {len(some) for some in found} == {5}


def test_every_part_of_the_pool_is_drawn_as_often_as_another() -> None:
    heads = Counter(part for some in drawn(Circuit.parse("0.0, 1.0"), 800) for part in some)
    assert len(heads) == 8
    assert all(150 < count < 250 for count in heads.values())  # 200 are expected, with a deviation of 12


def test_inputs_alone_have_no_random_circuits() -> None:
    with pytest.raises(ClaimError, match="no parts but inputs"):
        drawn(Circuit.parse("embed @ ASK"))


def test_input_nodes_of_a_graph_are_kept() -> None:
    graph = computation()
    circuit = Circuit.parse("a, h, k", graph)
    for some in random_circuits(circuit, Universe(graph, frozenset(), Component.for_node("out")), 10, 0):
        assert len(some) == 3
        assert Node(Component.for_node("a")) in some
        assert Node(Component.for_node("b")) not in some


def computation() -> Computation:
    made: nx.DiGraph[str] = nx.DiGraph()
    for name in ("a", "b"):
        made.add_node(name)
    for name, reads in {"h": "a b", "k": "a b", "m": "h k", "out": "h m"}.items():
        x, y = reads.split()
        made.add_node(name, function=eval(f"lambda {x}, {y}: {x} + {y}"))
        made.add_edges_from([(x, name), (y, name)])
    found = find(made).graph
    assert isinstance(found, Computation)
    return found


# dead ends


def on_paths(circuit: Circuit) -> frozenset[Edge]:
    """By networkx: the edges with an embedding before them and the output behind them."""
    drawing = nx.DiGraph((edge.sender, edge.receiver) for edge in circuit.edges)
    drawing.add_nodes_from([LOGITS])
    before = {c for source in drawing if source.kind in ("embed", "pos") for c in nx.descendants(drawing, source)}
    before |= {c for c in drawing if c.kind in ("embed", "pos")}
    behind = nx.ancestors(drawing, LOGITS) | {LOGITS}
    return frozenset(e for e in circuit.edges if e.sender in before and e.receiver in behind)


def test_pruned_removes_dead_ends_and_says_which() -> None:
    live = ["embed -> 0.0.v", "0.0 -> 1.0.q", "1.0 -> logits", "embed -> 1.0.v", "embed -> logits"]
    dead = ["0.1 -> 1.0.k", "embed -> 1.1.v", "0.2 -> 1.2.q", "embed -> 0.3.k"]  # no source, no reader, neither
    found, removed = pruned(Circuit.parse([*live, *dead]), GRAPH, PASSED, LOGITS)
    assert found == Circuit.parse(live)
    assert removed == Circuit.parse(dead).parts
    assert pruned(found, GRAPH, PASSED, LOGITS) == (found, ())


@pytest.mark.parametrize("seed", range(10))
def test_pruned_is_what_lies_on_paths(seed: int) -> None:
    everything = every_edge(DEEP, PASSED, LOGITS)
    chosen = np.random.default_rng(seed).choice(len(everything), 60, replace=False)
    some = Circuit.from_parts(everything[i] for i in chosen)
    found, removed = pruned(some, DEEP, PASSED, LOGITS)
    assert found.edges == on_paths(some)
    assert set(removed) == some.edges - found.edges


def test_roles_outlive_pruning_and_components_are_left_alone() -> None:
    assert pruned(NODES, GRAPH, PASSED, LOGITS) == (NODES, ())
    graph, out = computation(), Component.for_node("out")
    some = Circuit.parse(["a -> h", "h -> out", "b -> k"], graph)
    found, removed = pruned(some, graph, frozenset(), out)
    assert ([str(part) for part in found], [str(part) for part in removed]) == (["a -> h", "h -> out"], ["b -> k"])


# complements


def everything(circuit: Circuit, places: list[str | None]) -> set[Part]:
    slots = [None if place is None else parse_slots(place)[0] for place in places]
    if circuit.edges:
        listed = every_edge(GRAPH, PASSED, LOGITS)
        return {Edge(e.sender, e.receiver, e.channel, slot) for e in listed for slot in slots}
    return {Node(component, slot) for component in free_writers(GRAPH, PASSED) for slot in slots}


@pytest.mark.parametrize(("names", "places"), [
    ("0.0, 1.0, embed", [None]), ("embed -> 0.0.v, 0.0 -> 1.0.k", [None]), ("attn 0, 1.2", [None]),
    ("0.0 @ END, embed @ KEY", ["END", "KEY"]), ("embed -> 0.0.v @ ASK, 1.0 -> logits @ END", ["ASK", "END"]),
])  # fmt: skip
def test_a_circuit_and_its_complement_are_everything_and_share_nothing(names: str, places: list[str | None]) -> None:
    circuit = Circuit.parse(names)
    rest = complement(circuit, GRAPH, PASSED, LOGITS)
    whole = everything(circuit, places)
    own = {part for part in whole if part not in rest}
    assert set(rest) <= whole
    assert len(own) == (5 if "attn" in names else len(circuit))
    assert len(circuit & rest) == 0
    assert complement(rest, GRAPH, PASSED, LOGITS) == Circuit.from_parts(own)
    if "attn" not in names:
        assert set((circuit | rest).parts) == whole


def test_a_complement_at_other_positions() -> None:
    rest = complement(Circuit.parse("0.0 @ END"), GRAPH, PASSED, LOGITS, parse_slots("END KEY"))
    assert len(rest) == 2 * 9 - 1
    with pytest.raises(ClaimError, match="has no name"):
        complement(Circuit.parse("0.0 @ END, 0.1"), GRAPH, PASSED, LOGITS)


def test_passed_components_are_in_no_complement_and_no_pool() -> None:
    passed = DEEP.passed(["mlps"]) | PASSED
    rest = complement(Circuit.parse("0.0"), DEEP, passed, LOGITS)
    assert {part.component.kind for part in rest.nodes} == {"head", "embed"}
    assert not {e.sender.kind for e in every_edge(DEEP, passed, LOGITS)} & {"mlp", "pos"}


def test_a_circuit_knows_its_complement_and_its_dead_ends() -> None:
    """With what is passed through by its words, and the output of the graph itself."""
    circuit, passed = Circuit.parse("0.0, 1.0"), DEEP.passed(["mlps"]) | PASSED
    assert circuit.complement(DEEP, through=["mlps"]) == complement(circuit, DEEP, passed, LOGITS)
    assert circuit.complement(DEEP) == complement(circuit, DEEP, PASSED, LOGITS)
    assert not circuit.complement(DEEP) & circuit
    graph = computation()
    some = Circuit.parse(["a -> h", "h -> out", "b -> k"], graph)
    assert some.pruned(graph) == Circuit.parse(["a -> h", "h -> out"], graph)
    assert Circuit.parse("embed, pos").complement(GRAPH) == complement(Circuit.parse("embed"), GRAPH, PASSED, LOGITS)
