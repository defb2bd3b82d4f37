"""Many circuits that are run together: each as it is alone, and what they share computed once."""

from __future__ import annotations

import random

import pytest
import torch

from circuit.test_equals_oracle import MODELS, SLOTS, experiment_on, model_of
from scrub.anatomy.edges import Edge, Node, parse_part
from scrub.anatomy.names import LOGITS, Component
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit import wired
from scrub.circuit.alike import AlikeRun
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.universe import every_edge
from scrub.circuit.wired import WiringRun


def edges_of(graph: TransformerGraph, through: tuple[str, ...], rng: random.Random) -> list[Circuit]:
    """Circuits that differ in few edges, one of them twice, and two that have little in common with any."""
    passed = experiment_on(model_of("gpt2"), "mean", "noising", through).named_through
    universe = every_edge(graph, passed, LOGITS)
    edges = [Edge(e.sender, e.receiver, e.channel, slot) for e in universe for slot in SLOTS]
    whole = frozenset(rng.sample(edges, len(edges) // 8))
    parts = sorted(whole)
    fewer = [Circuit(edges=whole - set(rng.sample(parts, 2))) for _ in range(3)]
    others = [Circuit(edges=frozenset(rng.sample(edges, n))) for n in (3, len(edges) // 3)]
    return [*fewer, *others, fewer[0], Circuit(edges=whole)]


@pytest.mark.parametrize(("through", "without"), [((), False), (("mlps",), True)])
def test_circuits_of_edges(through: tuple[str, ...], without: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("gpt2")
    circuits = edges_of(TransformerGraph("tiny", model.shape), through, random.Random(len(through)))
    everything = Circuit(edges=frozenset(edge for circuit in circuits for edge in circuit.edges))
    bench = CircuitBench.of(experiment_on(model, "mean", "noising", through), model, everything)
    alone = torch.cat([bench.runner.edges([circuit], without) for circuit in circuits])
    runs, run = list[int](), WiringRun.final
    monkeypatch.setattr(WiringRun, "final", lambda self: runs.append(len(self.wiring.final)) or run(self))
    torch.testing.assert_close(bench.runner.edges(circuits, without), alone, rtol=1e-9, atol=1e-9)
    blocks = len(bench.runner.slices())
    assert sum(runs) <= (len(circuits) - 1) * blocks  # the one that is there twice is run once
    assert len(runs) < len(circuits) * blocks  # and some run in one wiring


@pytest.mark.parametrize("kind", MODELS)
def test_streams_of_few_elements_at_a_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of edges everywhere and at positions, queries among their ends: some heads read the frozen stream."""
    model, rng = model_of(kind), random.Random(kind)
    graph = TransformerGraph("tiny", model.shape)
    edges = [
        Edge(e.sender, e.receiver, e.channel, slot) for e in every_edge(graph, frozenset(), LOGITS) for slot in SLOTS
    ]
    query, head = parse_part("1.1.q -> 1.1")[0], Component.for_head(1, 1)
    chosen = [edge for edge in rng.sample(edges, len(edges) // 4) if edge.receiver != head]
    circuit = Circuit(edges=frozenset([*chosen, query, *parse_part("embed -> 1.1.q.input")]))
    bench = CircuitBench.of(experiment_on(model, "mean", "noising", ()), model, circuit)
    parts, part = list[slice](), WiringRun._part
    whole = bench.runner.edges([circuit])
    monkeypatch.setattr(WiringRun, "_part", lambda self, some: parts.append(some) or part(self, some))
    monkeypatch.setattr(wired, "AT_ONCE", 1)
    torch.testing.assert_close(bench.runner.edges([circuit]), whole, rtol=1e-9, atol=1e-9)
    assert {some.stop - some.start for some in parts} == {1}


@pytest.mark.parametrize("direction", ["noising", "denoising"])
@pytest.mark.parametrize("without", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_circuits_of_components(kind: str, without: bool, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At positions of which some are one in some rows; the empty circuit is among them, and one is there twice."""
    model, rng = model_of(kind), random.Random(f"{kind} {without} {direction}")
    writers = [c for c in TransformerGraph("tiny", model.shape).writers() if not c.traits.given]
    through = rng.choice([(), ("mlps", "embed")] if model.shape.d_mlp else [("embed",)])
    nodes = [Node(c, slot) for c in writers for slot in SLOTS[1:] if not (through and c.kind == "mlp")]
    whole = frozenset(rng.sample(nodes, len(nodes) // 3))
    fewer = [Circuit(nodes=whole - set(rng.sample(sorted(whole), 2))) for _ in range(4)]
    circuits = [*fewer, Circuit(nodes=whole), Circuit(), fewer[0]]
    bench = CircuitBench.of(experiment_on(model, "mean", direction, through), model, Circuit(nodes=whole))
    alone = torch.cat([bench.runner.components([circuit], without=without) for circuit in circuits])
    runs, run = list[int](), AlikeRun.final
    monkeypatch.setattr(AlikeRun, "final", lambda self, state: runs.append(self.masks.circuits) or run(self, state))
    torch.testing.assert_close(bench.runner.components(circuits, without=without), alone, rtol=1e-9, atol=1e-9)
    assert sum(runs) == len(circuits) * len(bench.runner.slices())
