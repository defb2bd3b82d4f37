"""Circuits that hold parts of components: the slow definition, parts that are their hosts, and a bridge's hooks."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve

import scrub
from circuit.oracle import donor_values, mean_values, zero_values
from circuit.oracle_parts import ApartOnEdges, run_part_edges, run_parts, run_with_parts
from circuit.test_equals_oracle import DATA, SLOTS, by_ends, check, experiment_on, held, model_of
from engine.hooked import Hooked
from model.tiny_models import bridged
from score import part_claims
from scrub import Dictionary, directions, latents
from scrub.anatomy.edges import Edge, Node
from scrub.anatomy.names import EMBED, LOGITS, POS, Component
from scrub.anatomy.part import HostPart
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.paths import parse_path
from scrub.circuit.sweep import bench_for
from scrub.circuit.universe import every_edge
from scrub.errors import ClaimError, ModelError
from scrub.model.weights import Mlp, Transformer

FEW = np.array([3, 10])
MODELS = ("gpt2", "neox parallel", "grouped", "norms after")
RUNS = [  # each model with each ablation, and in each direction
    (kind, ablation, ("noising", "denoising")[(i + j // 2) % 2])
    for i, kind in enumerate(MODELS)
    for j, ablation in enumerate(("paired", "mean", "zero", "resample"))
]


@cache
def tiny(kind: str) -> Transformer:
    """Padding is embedded too: norms of a stream that is nothing would make rounding large."""
    model = model_of(kind)
    nothing = (model.W_E == 0).all(1, keepdim=True)
    return evolve(model, W_E=torch.where(nothing, 0.3, model.W_E))


def part_of(component: Component, part: HostPart) -> Component:
    return Component(component.kind, component.layer, component.unit, part=part)


def turned(model: Transformer) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(1).normal(size=(model.shape.d_model,) * 2))[0]


def halves(model: Transformer, component: Component) -> list[Component]:
    basis = turned(model)
    return [part_of(component, directions(basis[:3])), part_of(component, directions(basis[3:]))]


def some_latents(model: Transformer, units: str = "1 4 7") -> HostPart:
    draw, d = np.random.default_rng(2), model.shape.d_model
    made = Dictionary(draw.normal(size=(d, 9)), draw.normal(size=(9, d)), draw.normal(size=9), draw.normal(size=d))
    return latents(made, units)


def parts_in(model: Transformer) -> list[Component]:
    basis = turned(model)
    one, other = directions(basis[:2]), directions(basis[2:5])
    sums = [Component("resid", 1), Component("resid", 2)]
    sums += [] if model.shape.post_norms else [Component.for_attn(1)]
    normed = int(model.shape.post_norms)  # of neurons that are normed together more is known where more reads them
    return [
        part_of(Component.for_head(0, 1), one), part_of(Component.for_head(0, 1), other),
        part_of(Component.for_head(1, 0), some_latents(model)), part_of(Component.for_mlp(normed), other),
        part_of(Component.for_mlp(normed), one), part_of(EMBED, other), *(part_of(c, one) for c in sums),
        *(Component("neuron", 1 - normed, unit) for unit in (0, 3, 5)),
    ]  # fmt: skip


def in_channels(model: Transformer) -> list[Component]:
    """Whole queries, and subspaces and latents of queries, keys and values of heads in both layers."""
    draw, d = np.random.default_rng(3), model.shape.d_head
    basis = np.linalg.qr(draw.normal(size=(d, d)))[0]
    one, other = directions(basis[:1]), directions(basis[1:3])
    made = Dictionary(draw.normal(size=(d, 5)), draw.normal(size=(5, d)), draw.normal(size=5), draw.normal(size=d))
    return [
        Component("q", 1, 0), part_of(Component("k", 1, 0), latents(made, "0 3")),
        *(part_of(Component(channel, 1, 3), code) for channel in "qv" for code in (one, other)),
        part_of(Component("k", 0, 1), other), Component("v", 1, 1), part_of(Component("v", 0, 2), one),
    ]  # fmt: skip


def edges_of_channels(parts: list[Component], graph: TransformerGraph, rng: random.Random) -> list[Edge]:
    """Into parts of queries, keys and values, and from these into their heads and parts of them."""
    channels = [p for p in parts if p.traits.is_channel]
    ends = {
        c: [c, *(p for p in parts if p.host == c and not p.traits.is_channel)] for c in graph.writers() if c != POS
    }
    sums = [p for p in parts if p.kind in ("resid", "attn")]
    into = [(rng.choice(ends.get(c, [c])), b) for b in channels for c in (*ends, *sums)]
    into = [(a, b) for a, b in into if graph.feeds(a, b, "input")]
    chosen = [Edge(a, b) for a, b in into if rng.random() < 0.3]
    return chosen + [Edge(p, head, p.kind) for p in channels for head in ends[p.host] if rng.random() < 0.8]


def frozen_of(bench: CircuitBench, call: int, parts: list[Component]) -> tuple[Any, Any]:
    """The model's own values and the ablated ones, parts among them."""
    model, row, run = bench.model, int(bench.calls.reference[call]), run_with_parts(parts)
    assert model is not None
    own = run(model, DATA.rows[row].tokens)[0]
    match bench.experiment.protocol.ablation:
        case "mean":
            other = mean_values(model, DATA, row, list(range(len(DATA))), bench.slots, run)
        case "zero":
            other = zero_values(model, DATA.rows[row].tokens, run)
        case _:
            donor = int(bench.experiment.donors(bench.calls, bench.seed)[call])
            other = donor_values(model, DATA, row, donor, bench.slots, run)
    return own, {**other, POS: own[POS]} if POS in own and POS in bench.passed else other


@pytest.mark.parametrize(("kind", "ablation", "direction"), RUNS)
def test_parts_beside_whole_components(kind: str, ablation: str, direction: str) -> None:
    model, rng = tiny(kind), random.Random(f"{kind} {ablation} {direction}")
    parts = [part for part in parts_in(model) if rng.random() < 0.6]
    writers = [Component.for_head(layer, h) for layer in (0, 1) for h in (0, 2, 3)] + [Component.for_mlp(1), EMBED]
    chosen = {Node(c, rng.choice(SLOTS)) for c in (*writers, *parts) for _ in range(2) if rng.random() < 0.6}
    circuits = [Circuit.from_parts(chosen), Circuit.from_parts(n for n in chosen if rng.random() < 0.7)]
    bench = CircuitBench.of(experiment_on(model, ablation, direction), model, Circuit(), 3, None)
    bench = bench_with(evolve(bench, draws=1), circuits[0]).on(FEW)
    for without in (False, True):
        found = bench.outputs(circuits, without=without)
        for circuit, streams in zip(circuits, found, strict=True):

            def expected(call: int, circuit: Circuit = circuit, without: bool = without) -> torch.Tensor:
                row = int(bench.calls.reference[call])
                own, other = frozen_of(bench, call, parts)
                noising = direction == "noising"
                sides = (own, other) if noising else (other, own)

                def named(c: Component, t: int) -> bool:
                    always = c in bench.passed and noising != without
                    return always or any(n.component == c and held(n, row, t) for n in circuit.nodes)

                return run_parts(model, DATA.rows[row].tokens, sides, named, parts, noising == without)

            check(bench, streams[None], expected)


def bench_with(bench: CircuitBench, circuit: Circuit) -> CircuitBench:
    from scrub.circuit.universe import slots_in

    passed = bench.passed if POS not in {n.component for n in circuit.nodes} else bench.passed - {POS}
    return evolve(bench, slots=slots_in(circuit.nodes), passed=passed)


def edges_of_sums(parts: list[Component], graph: TransformerGraph) -> list[Edge]:
    """Into parts of streams and of attention, and from them."""
    sums, late = [p for p in parts if p.kind in ("resid", "attn")], [Component.for_mlp(1), Component.for_head(1, 3)]
    senders = [Component.for_head(0, 2), Component.for_head(0, 3), *parts]
    into = [(sender, part) for part in sums for sender in senders if sender.host != part.host]
    ends = [*into, *((part, reader) for part in sums for reader in (*late, LOGITS))]
    return [Edge(a, b, channel) for a, b in ends for channel in graph.channels(b) if graph.feeds(a, b, channel)]


@pytest.mark.parametrize(("kind", "ablation", "direction"), RUNS)
def test_parts_send_and_receive(kind: str, ablation: str, direction: str) -> None:
    """Edges from parts and into them, beside those of whole components."""
    model, rng = tiny(kind), random.Random(f"edges {kind} {ablation} {direction}")
    graph = TransformerGraph("tiny", model.shape)
    parts = parts_in(model)
    if rng.random() < 0.5:  # what is not linear
        parts = [part for part in parts if part.whole != Component("resid", 1)]
        parts += [part_of(Component("resid", 1), some_latents(model, units)) for units in ("1 4 7", "2")]
    known = every_edge(graph, frozenset({POS}), Component("logits"))
    ends = {part.host: [p for p in parts if p.host == part.host] for part in parts}
    parts += in_channels(model)
    edges = {edge for edge in edges_of_sums(parts, graph) if rng.random() < 0.3}
    edges |= {evolve(edge, at=rng.choice(SLOTS)) for edge in edges_of_channels(parts, graph, rng)}
    for edge in known:
        sender = rng.choice([edge.sender, *ends.get(edge.sender, ())])
        receiver = rng.choice([edge.receiver, *ends.get(edge.receiver, ())])
        if rng.random() < 0.5:
            edges.add(Edge(sender, receiver, edge.channel, rng.choice(SLOTS)))
    circuit, between = Circuit(edges=frozenset(edges)), by_ends(edges)
    bench = evolve(CircuitBench.of(experiment_on(model, ablation, direction), model, circuit, 3, None), draws=1)
    bench = bench.on(FEW)
    named = {end for edge in edges for end in (edge.sender, edge.receiver) if end.is_part}
    for without in (False, True):
        inside = (direction == "noising") != without

        def expected(call: int, inside: bool = inside) -> torch.Tensor:
            row = int(bench.calls.reference[call])
            own, other = frozen_of(bench, call, parts)
            start, frozen = (own, other) if direction == "noising" else (other, own)
            world = ApartOnEdges(model, sorted(named), frozen, not inside)

            def live(sender: Component, receiver: Component, channel: str, t: int) -> bool:
                senders = {sender} if inside else {sender, sender.host}
                of_host = receiver.host, receiver.kind if receiver.traits.is_channel else channel
                into = {(receiver, channel)} if inside else {(receiver, channel), of_host}
                ends = ((sender, *end) for sender in senders for end in into)
                found = any(held(e, row, t) for given in ends for e in between.get(given, ()))
                return sender == POS or found == inside

            return run_part_edges(world, DATA.rows[row].tokens, start, live)

        check(bench, bench.outputs([circuit], without=without), expected)


@pytest.mark.parametrize("ablation", ["mean", "zero", "paired", "resample"])
@pytest.mark.parametrize("kind", MODELS)
def test_all_parts_of_a_host_are_the_host(kind: str, ablation: str) -> None:
    model = tiny(kind)
    head, mlp, rest = Component.for_head(0, 1), Component.for_mlp(1), [Node(Component.for_head(1, 2)), Node(EMBED)]
    neurons = [Component("neuron", 1, unit) for unit in range(model.shape.d_mlp)]
    same: dict[Component, list[Component]] = {c: halves(model, c) for c in (head, mlp, Component("resid", 1))}
    if ablation != "zero" or kind == "gpt2":  # as above: a stream of rounding alone
        same[EMBED] = halves(model, EMBED)
    if not model.shape.post_norms:
        same[Component.for_attn(0)] = halves(model, Component.for_attn(0))
    pairs = [*same.items(), *([] if ablation == "zero" else [(mlp, neurons)])]  # b_out stays with what remains
    for direction in ("noising", "denoising"):
        bench = evolve(CircuitBench.of(experiment_on(model, ablation, direction), model, Circuit(), 1, None), draws=1)
        for host, parts in pairs:
            kept = rest[: 1 + (host != EMBED and host.kind != "resid")]
            circuits = [Circuit.from_parts([*kept, *map(Node, cs)]) for cs in ([host], parts)]
            for without in (False, True):
                if host.traits.is_stream and (direction == "denoising" or without):
                    continue  # as one vector it is set, where all that writes it would be run on
                if without and ablation == "mean" and parts == neurons and model.shape.post_norms:
                    continue  # a mean of norms is no norm of a mean
                whole, split = (bench.outputs([circuit], without=without) for circuit in circuits)
                torch.testing.assert_close(split, whole, rtol=1e-9, atol=1e-9, msg=f"{host} {direction} {without}")


@pytest.mark.parametrize(("kind", "ablation", "direction"), [run for run in RUNS if run[0] in MODELS[:2]])
def test_a_transcoder_of_the_mlps_own_matrices_is_its_neurons(kind: str, ablation: str, direction: str) -> None:
    """As components and knocked out, on edges to it and from it, and where paths begin."""
    units = (1, 4, 7)
    model = tiny(kind)
    mlps = [b.mlp for b in model.blocks]
    assert all(isinstance(m, Mlp) for m in mlps)
    relus = [evolve(b, mlp=evolve(m, act="relu")) for b, m in zip(model.blocks, mlps, strict=True)]  # type: ignore[type-var]
    model = evolve(model, blocks=tuple(relus))
    m = model.blocks[1].mlp
    assert isinstance(m, Mlp)
    bias = None if m.b_in is None else m.b_in.numpy()
    own = latents(Dictionary(m.W_in.numpy(), m.W_out.numpy(), bias=bias, reads="normed"), " ".join(map(str, units)))
    forms = [part_of(Component.for_mlp(1), own)], [Component("neuron", 1, unit) for unit in units]
    bench = evolve(CircuitBench.of(experiment_on(model, ablation, direction), model, Circuit(), 1, None), draws=1)
    head, late = Component.for_head(0, 1), Component.for_head(1, 2)
    nodes = [Circuit.from_parts([Node(EMBED), Node(head), *map(Node, form)]) for form in forms]
    edges = [
        Circuit.from_parts(
            edge for c in form for edge in (Edge(EMBED, c), Edge(head, c), Edge(c, LOGITS), Edge(EMBED, late, "q"))
        )
        for form in forms
    ]
    for circuits in (nodes, edges):
        for without in (False, True):
            found, expected = (bench.outputs([circuit], without=without) for circuit in circuits)
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9, msg=f"{circuits is edges} {without}")


def test_neurons_are_those_at_hook_post() -> None:
    hooked = Hooked(bridged("GPT2LMHeadModel"), 1e-10)
    model = hooked.weights
    circuit = Circuit.parse("mlp 1.1 @ END, mlp 1.2 @ END")
    bench = CircuitBench.of(experiment_on(model, "paired", "noising"), model, circuit)
    found, hook = bench.outputs([circuit], without=True), "blocks.1.mlp.hook_post"
    donors = bench.experiment.donors(bench.calls, bench.seed)

    def expected(call: int) -> torch.Tensor:
        row, donor = int(bench.calls.reference[call]), int(donors[call])
        here, there = (int(DATA.locate(SLOTS[-1])[r]) for r in (row, donor))  # type: ignore[arg-type]
        other = hooked.run(DATA.rows[donor].tokens, keep=[hook])[hook]

        def edit(value: torch.Tensor) -> torch.Tensor:
            value[0, here, 1:3] = other[there, 1:3]
            return value

        return hooked.run(DATA.rows[row].tokens, {hook: edit})["logits"]

    check(bench, found, expected)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mlp 0.999", "there is no mlp 0.999, .* has neurons 0.0 to"),
        ("0.1.q", r"0\.1\.q belongs to its head, 0\.1, which alone reads it: name the head, 0\.1, or edges into it"),
        ("mlp 0.1, mlp 0", r"mlp 0 and mlp 0\.1 overlap: parts of one host have other indices"),
        ("mlp 0.1 @ END, mlp 0", r"mlp 0 and mlp 0\.1 @ END overlap"),
        ("mlp 0.1 -> logits, mlp 0 -> logits", r"mlp 0 and mlp 0\.1 overlap"),
    ],
)
def test_parts_that_a_circuit_cannot_hold(name: str, told: str) -> None:
    with pytest.raises(ClaimError, match=told):
        Circuit.parse(name).checked(TransformerGraph("tiny", tiny("gpt2").shape))


@pytest.mark.parametrize("kind", ["neox parallel", "norms after"])
def test_a_stream_passes_through_all_its_parts(kind: str) -> None:
    """Edges into a subspace and its complement, and from these on, are the edges of all that is written before."""
    model = tiny(kind)
    graph, (one, other) = TransformerGraph("tiny", model.shape), halves(model, Component("resid", 1))
    late, before = Component.for_head(1, 2), graph.atoms(Component("resid", 1))
    rest = [Edge(EMBED, Component.for_mlp(0)), *(Edge(late, LOGITS, at=slot) for slot in SLOTS[1:])]
    whole = Circuit.from_parts([*rest, *(Edge(c, late, "k") for c in before)])
    parts = [Edge(c, part) for c in before for part in (one, other)] + [
        Edge(part, late, "k") for part in (one, other)
    ]
    for through in ((), ("mlps 0",)):
        kept = [e for e in parts if not through or e.sender.kind != "mlp"]
        plain = [e for e in whole.edges if not through or "mlp" not in (e.sender.kind, e.receiver.kind)]
        circuits = Circuit.from_parts(plain), Circuit.from_parts([*rest[bool(through) :], *kept])
        bench = CircuitBench.of(experiment_on(model, "mean", "noising", through), model, circuits[1])
        torch.testing.assert_close(*(bench.outputs([c]) for c in circuits), rtol=1e-9, atol=1e-9)


def test_parts_whose_way_has_no_words() -> None:
    graph, (one, two) = TransformerGraph("tiny", tiny("gpt2").shape), halves(tiny("gpt2"), Component("resid", 1))
    with pytest.raises(ClaimError, match="parts of one resid read what is written before it, and none reads another"):
        Circuit.from_parts([Edge(one, two)]).checked(graph)
    with pytest.raises(ClaimError, match="what a part leaves of its host is no component"):
        Circuit.from_parts([Node(one)]).complement(graph)
    model = tiny("norms after")
    circuit = Circuit.from_parts(map(Node, halves(model, Component.for_attn(0))))
    bench = CircuitBench.of(experiment_on(model, "zero", "noising"), model, circuit)
    with pytest.raises(ModelError, match="norms what heads write together: name parts of its heads"):
        bench.outputs([circuit])
    attn = Circuit.from_parts(map(Node, halves(tiny("gpt2"), Component.for_attn(1))))
    with pytest.raises(ClaimError, match=r"attn 1\[.*passed through"):
        CircuitBench.of(experiment_on(tiny("gpt2"), "zero", "noising", ("heads 1",)), tiny("gpt2"), attn)
    with pytest.raises(ClaimError, match=r"mlp 0\.1: passed through"):
        CircuitBench.of(experiment_on(model, "zero", "noising", ("mlps",)), model, Circuit.parse("mlp 0.1"))


def test_a_path_begins_at_a_part() -> None:
    """Activation patching by paths is what a run without the part is; what its host writes beside it stays."""
    for kind in MODELS:
        model = tiny(kind)
        graph = TransformerGraph("tiny", model.shape)
        senders = parts_in(model)
        paths = [[evolve(parse_path("embed ~all~> logits", graph)[0], sender=Node(c, SLOTS[1]))] for c in senders]
        experiment = experiment_on(model, "resample", "noising")
        bench = bench_for(experiment, model, [path for some in paths for path in some], 3, 2)
        found = bench.runner.paths(paths)
        whole = bench.outputs([Circuit.from_parts([Node(c, SLOTS[1])]) for c in senders], without=True)
        torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)
    with pytest.raises(ClaimError, match="paths begin at parts, and lead through whole ones: name mlp 1"):
        parse_path("0.1 -> mlp 1.0 -> logits", graph)


def test_neurons_are_swept_as_they_are_knocked_out() -> None:
    """By name, on claims about parts; and upstream kept, what feeds them is not ablated."""
    claim = part_claims.claim_of(part_claims.units("1.0 1.1"))
    found = scrub.sweep("mlp 1.0 mlp 1.2", "~all~> logits", claim, at="END", ablation="zero")
    alone = scrub.run_circuit("mlp 1.0 @ END", claim, without=True, ablation="zero")
    assert [str(effect.sender) for effect in found.effects] == ["mlp 1.0", "mlp 1.2"]
    assert [effect.effect for effect in found.effects] == pytest.approx([alone.change.value, 0], abs=1e-6)
    judged = scrub.criteria(claim, random=3, tests=False, upstream="keep")
    assert judged.parts == ("mlp 1.0", "mlp 1.1")
    assert judged.faithfulness.normalized.value == pytest.approx(1)
    with pytest.raises(ClaimError, match=r"mlp 1 and mlp 1.0 overlap, and would be patched twice"):
        scrub.patch_paths("mlp 1 -> logits; mlp 1.0 -> logits", claim)
