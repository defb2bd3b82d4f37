"""Parts as ends of edges: queries, keys and values, of which paths begin too, and neurons that are normed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve

from circuit.test_equals_oracle import SLOTS, experiment_on
from circuit.test_parts_in_circuits import MODELS, RUNS, in_channels, part_of, tiny, turned
from scrub import Dataset, Interpretation, claim, directions, heads, logits, queries
from scrub.anatomy.edges import Edge, Node, parse_part
from scrub.anatomy.names import EMBED, LOGITS, POS, Component
from scrub.anatomy.part import HostPart
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.claimed import leaves_of
from scrub.circuit.paths import parse_path
from scrub.circuit.sweep import bench_for, cases_of, sweep_paths
from scrub.circuit.universe import every_edge
from scrub.claims.overlap import parts_met
from scrub.errors import ClaimError, ModelError
from scrub.model.resolve import sound
from scrub.zoo import names_rows
from strategies_models import named


def through_channels(late: Component, codes: list[HostPart | None]) -> list[Component]:
    return [Component(c, late.layer, late.unit, part=part) for c in "qkv" for part in codes]


@pytest.mark.parametrize(("kind", "ablation", "direction"), RUNS)
def test_queries_keys_and_values_of_a_head_are_the_head(kind: str, ablation: str, direction: str) -> None:
    """Whole, of full rank, or a subspace beside its complement: edges into them are those into the head.

    Where everything else is live the head reads them as they are, and their own edges into it are left as they are.
    """
    model = tiny(kind)
    graph, late = TransformerGraph("tiny", model.shape), Component.for_head(1, 2)
    basis = np.linalg.qr(np.random.default_rng(4).normal(size=(model.shape.d_head,) * 2))[0]
    before = sorted(graph.atoms(Component("resid", 1)) - {POS})
    rest = [Edge(EMBED, Component.for_mlp(0)), Edge(EMBED, late, "q"), Edge(late, LOGITS, at=SLOTS[4])]
    plain = [Edge(c, late, channel, slot) for c in before for channel in "qkv" for slot in SLOTS[1:3]]
    plainly = Circuit.from_parts([*rest, *plain])
    bench = evolve(CircuitBench.of(experiment_on(model, ablation, direction), model, plainly, 3, None), draws=1)
    for codes in ([None], [directions(basis)], [directions(basis[:1]), directions(basis[1:])]):
        parts = through_channels(late, codes)
        into = [Edge(e.sender, p, at=e.at) for e in (*plain, rest[1]) for p in parts if p.kind == e.channel]
        for without in (False, True):
            out = [Edge(p, late, p.kind) for p in parts] if (direction == "noising") != without else []
            found, whole = bench.outputs([Circuit.from_parts([*rest[::2], *into, *out]), plainly], without=without)
            torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)


def test_a_leaf_that_is_a_query_has_its_own_value_where_upstream_is_kept() -> None:
    model, late = tiny("grouped"), Component.for_head(1, 2)
    graph, one = TransformerGraph("tiny", model.shape), directions(np.eye(model.shape.d_head)[:2])
    part, every = Component("q", 1, 2, part=one), every_edge(graph, frozenset({POS}), LOGITS)
    out, into = Edge(part, late, "q"), [Edge(e.sender, part) for e in every if e.receiver == late]
    circuits = Circuit.from_parts([*every, out, *into]), Circuit.from_parts([*every, out])
    for ablation in ("mean", "resample"):
        bench = CircuitBench.of(experiment_on(model, ablation, "noising"), model, circuits[0])
        kept = evolve(bench, held=frozenset({Node(part)}))
        torch.testing.assert_close(kept.outputs([circuits[1]]), bench.outputs([circuits[0]]), rtol=1e-9, atol=1e-9)
        assert not torch.allclose(bench.outputs([circuits[1]]), bench.outputs([circuits[0]]), atol=1e-3)


def test_a_path_begins_at_a_query() -> None:
    """Patched along a path it is what a run is in which its head alone reads its ablated value."""
    for kind in MODELS:
        model = tiny(kind)
        graph, senders = TransformerGraph("tiny", model.shape), in_channels(model)[:6:2]
        ways = [("~all~> logits", f"-> {c.host} ~all~> logits") for c in senders]
        paths = [
            [parse_path(f"{c.whole} {to}", graph)[0] for to in way] for c, way in zip(senders, ways, strict=True)
        ]
        sets = [[evolve(p, sender=Node(c, SLOTS[4]))] for c, some in zip(senders, paths, strict=True) for p in some]
        experiment = experiment_on(model, "resample", "noising")
        bench = bench_for(experiment, model, [path for some in sets for path in some], 3, 2)
        found = bench.runner.paths(sets)
        out = [Circuit.from_parts([Edge(c, c.host, c.kind, SLOTS[4])]) for c in senders]
        whole = torch.cat([bench.outputs([circuit], without=True) for circuit in out])
        torch.testing.assert_close(found[::2], whole, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found[1::2], whole, rtol=1e-9, atol=1e-9)
    cases = cases_of("queries 1", "~all~> logits", "END", graph)
    swept = sweep_paths(bench, cases, "~all~> logits", {}).effects
    assert [str(effect.sender) for effect in swept] == ["1.0.q", "1.1.q", "1.2.q", "1.3.q"]
    alone = bench.path_scores([paths for _, paths in cases]).mean(1) - bench.scored(bench.own)[0].mean()
    assert [effect.effect for effect in swept] == pytest.approx(list(alone))
    assert min(abs(alone)) > 1e-6


@pytest.mark.parametrize("part", [(), (directions(np.eye(16)),)], ids=["whole", "of full rank"])
def test_a_claimed_query_is_an_end_of_edges(part: tuple[HostPart, ...]) -> None:
    """One that reads no parents: its head reads it, and kept upstream it has its own value."""
    story = Interpretation()
    story.variable(named("asked", ["io"], tuple))
    story.variable(named("found", ["asked"], tuple))
    story.variable(named("answer", ["found"], lambda known: known[0][0][0]))
    site = queries("1.2", at="END")
    moved = heads("1.2", at="END").reads(q="asked")
    placed = {"asked": site.part(*part) if part else site, "found": moved, "answer": logits("END")}
    rows = Dataset.from_rows(names_rows(20, seed=1, people=8))
    setting = {"model": "zoo:names", "data": rows, "metric": "logit_diff(io, s1)", "scored": "is_ioi"}
    resolved = sound(claim(story, **setting, predicts="io")(lambda: placed), None, expecting=False)[0]
    circuit, (end,) = Circuit.of_claim(resolved), placed["asked"].components
    assert [str(edge) for edge in circuit] == [f"{end} -> 1.2.q @ END", "1.2 -> logits @ END"]
    assert [str(node) for node in leaves_of(resolved, circuit.edges)] == [f"{end} @ END"]


@pytest.mark.parametrize("write", ["scrub", "node-link"])
def test_edges_of_queries_are_written_and_read(write: str, tmp_path: Path) -> None:
    circuit = Circuit.parse("embed -> 0.1.q, embed -> 1.2.Q.input, 0.1 -> 1.2.q.input @ END, 1.2.q -> 1.2 @ END")
    assert [str(edge) for edge in circuit] == [
        "embed -> 0.1.q", "embed -> 1.2.q.input", "0.1 -> 1.2.q.input @ END", "1.2.q -> 1.2.q @ END",
    ]  # fmt: skip
    circuit.write(tmp_path / "circuit.json", write)
    assert Circuit.read(tmp_path / "circuit.json") == circuit == Circuit.parse(map(str, circuit))


def test_a_query_overlaps_its_own_parts_alone() -> None:
    graph, late = TransformerGraph("tiny", tiny("gpt2").shape), Component.for_head(1, 2)
    q, k, v = through_channels(late, [None])
    (part,) = (c for c in through_channels(late, [directions(np.eye(4)[:1])]) if c.kind == "q")
    assert parts_met([q, k, v, late], graph) == []
    for beside in (q, Component("q", 1, 2, part=directions(np.ones((1, 4))))):
        with pytest.raises(ClaimError, match=r"1\.2\.q.* overlap: parts of one host"):
            Circuit.from_parts([Edge(part, late, "q"), Edge(beside, late, "q")]).checked(graph)


def test_what_reads_no_query() -> None:
    graph = TransformerGraph("tiny", tiny("gpt2").shape)
    for text, told in (
        ("0.1.q", "which alone reads it: name the head, 0.1, or edges into it"),
        ("0.1.q -> logits", "logits does not read 0.1.q; its own head alone does, through q: '0.1.q -> 0.1.q'"),
        ("0.1.q -> 0.2.q", "0.2.q does not read 0.1.q; its own head alone does"),
    ):
        with pytest.raises(ClaimError, match=re.escape(told)):
            Circuit.parse(text).checked(graph)
    for text, told in (
        ("0.1.q -> logits", "does not read 0.1.q directly; its own head alone does, through q"),
        ("0.1.q ~mlps~> logits", "neither directly nor through mlps; its own head alone does"),
        ("0.1.q ~all~> 0.2.q -> logits", "0.2.q does not read 0.1.q, neither directly nor through all"),
    ):
        with pytest.raises(ClaimError, match=re.escape(told)):
            parse_path(text, graph)


@pytest.mark.parametrize("ablation", ["paired", "mean"])
@pytest.mark.parametrize("kind", MODELS)
def test_all_neurons_on_edges_are_their_mlp(kind: str, ablation: str) -> None:
    model = tiny(kind)
    mlp, head, late = Component.for_mlp(0), Component.for_head(0, 1), Component.for_head(1, 2)
    neurons = [Component("neuron", 0, unit) for unit in range(model.shape.d_mlp)]
    rest = [Edge(EMBED, head, "v"), Edge(EMBED, late, "q"), Edge(late, LOGITS)]
    into = [Edge(EMBED, mlp), Edge(head, mlp)] if not model.shape.parallel else [Edge(EMBED, mlp)]
    plain = [*into, Edge(mlp, late, "k", SLOTS[1]), Edge(mlp, LOGITS)]
    parts = [Edge(e.sender, n, at=e.at) for e in into for n in neurons]
    parts += [Edge(n, e.receiver, e.channel, e.at) for e in plain if e.sender == mlp for n in neurons]
    circuits = [Circuit.from_parts([*rest, *edges]) for edges in (plain, parts)]
    bench = evolve(CircuitBench.of(experiment_on(model, ablation, "noising"), model, circuits[0], 3, None), draws=1)
    for without in (False, True):
        if without and ablation == "mean" and model.shape.post_norms:
            continue  # a mean of norms is no norm of a mean
        whole, found = bench.outputs(circuits, without=without)
        torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)


def test_an_mlp_that_is_kept_is_what_its_neurons_leave_of_it() -> None:
    """Before a norm of these: an edge of a neuron where the answer is not read changes nothing."""
    model, neuron, late = tiny("norms after"), Component("neuron", 0, 1), Component.for_head(1, 2)
    plain = [Edge(EMBED, late, "q")]
    circuits = [Circuit.from_parts(edges) for edges in (plain, [*plain, Edge(neuron, LOGITS, at=SLOTS[1])])]
    bench = CircuitBench.of(experiment_on(model, "paired", "noising"), model, circuits[1])
    kept = evolve(bench, held=frozenset({Node(Component.for_mlp(0))}))
    whole, found = kept.outputs(circuits, without=True)
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)
    beside = part_of(neuron.host, directions(turned(model)[:1]))
    with pytest.raises(ModelError, match="name neurons, or what comes behind the norm"):
        bench.outputs([Circuit.from_parts([Edge(neuron, LOGITS), Edge(beside, late, "q")])])


def test_files_of_circuits_hold_no_arrays(tmp_path: Path) -> None:
    coded = Component("head", 0, 1, part=directions(np.eye(2, 8), name="U"))
    with pytest.raises(ClaimError, match=r"0\.1\[U\] is directions or latents, arrays that no circuit's file holds"):
        Circuit.from_parts([Node(coded)]).write(tmp_path / "c.json")
    with pytest.raises(ClaimError, match=r"'9\.9\[U\]': directions and latents are arrays"):
        parse_part("9.9[U]")
