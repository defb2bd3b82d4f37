"""Circuits and paths equal the slow oracle, in fp64, on every kind of model, ablation, direction and position."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from circuit.oracle import donor_values, mean_values, own_run, patch_paths, run_components, run_edges, zero_values
from engine.hooked import mixed_rows
from model.tiny_models import EXACT, ROUNDED, bridged
from scrub.anatomy.edges import Edge, Node
from scrub.anatomy.names import POS, Component
from scrub.anatomy.positions import Slot, parse_slots
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import Experiment, resolve
from scrub.circuit.paths import Path, parse_path
from scrub.circuit.sweep import bench_for
from scrub.circuit.universe import every_edge
from scrub.claims.dataset import Dataset
from scrub.claims.metric import parse_metric
from scrub.claims.protocol import Protocol
from scrub.model.layers import unembed
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer

MODELS: dict[str, Callable[[], Any]] = {
    "gpt2": EXACT["gpt2"],
    "neox parallel": EXACT["neox parallel"],
    "grouped": ROUNDED["llama"],
    "window": ROUNDED["mistral with a window"],
    "bidirectional": EXACT["native bidirectional"],
    "attention only": EXACT["native attention only, no norm"],
    "norms after": ROUNDED["gemma 2, norms after, caps"],
    "joint head norms": ROUNDED["olmo 2, norms after alone, joint head norms"],
}
SLOTS: tuple[Slot | None, ...] = (None, *parse_slots("A B A+1 END"))
# Scores that differ by head in more than what is read: these are paths' alone.
BY_HEAD = {"alibi": lambda: bridged("BloomForCausalLM"), "sinks": ROUNDED["gpt-oss, sinks"]}
LOGITS = Component("logits")


def with_pairs() -> Dataset:
    """Every row's partner is another of its length."""
    data = mixed_rows(12)
    rows = []
    for i, row in enumerate(data.rows):
        same = [j for j, other in enumerate(data.rows) if len(other.tokens) == len(row.tokens) and j != i]
        rows.append(
            {"tokens": row.tokens, "positions": row.positions, "columns": {**row.columns, "pair": same[i % 2]}}
        )
    return Dataset.from_rows(rows)


DATA = with_pairs()
ROWS = np.array([0, 3, 5, 10])


@cache
def model_of(kind: str) -> Transformer:
    return adapt((MODELS | BY_HEAD)[kind](), dtype=torch.float64)


def experiment_on(model: Transformer, ablation: str, direction: str, through: tuple[str, ...] = ()) -> Experiment:
    group = None if ablation in ("mean", "zero") else "length"
    return resolve(
        TransformerGraph("tiny", model.shape), DATA, parse_metric("loss(label)"), None,
        Protocol(ablation=ablation, direction=direction), answer=parse_slots("END")[0], output=LOGITS, rows=ROWS,
        group=group, reference=None, pair="pair", through=through,
    )  # fmt: skip


def drawn(ablation: str) -> int | None:
    return 2 if ablation == "resample" else None


def oracle_values(bench: CircuitBench, call: int, slots: tuple[Slot, ...]) -> Any:
    experiment, row, model = bench.experiment, int(bench.calls.reference[call]), bench.model
    assert model is not None
    match experiment.protocol.ablation:
        case "mean":
            return mean_values(model, DATA, row, list(range(len(DATA))), slots)
        case "zero":
            return zero_values(model, DATA.rows[row].tokens)
        case _:
            donor = int(experiment.donors(bench.calls, bench.seed)[call])
            return donor_values(model, DATA, row, donor, slots)


def sides(bench: CircuitBench, call: int) -> tuple[Any, Any]:
    """The inputs that a run starts on, and what is frozen; what is passed through is nobody's to ablate."""
    row = int(bench.calls.reference[call])
    assert bench.model is not None
    own = own_run(bench.model, DATA.rows[row].tokens)[0]
    other = oracle_values(bench, call, bench.slots)
    if POS in bench.passed and POS in own:
        other = {**other, POS: own[POS]}
    return (own, other) if bench.experiment.protocol.direction == "noising" else (other, own)


def held(part: Node | Edge, row: int, t: int) -> bool:
    return part.at is None or int(DATA.locate(part.at)[row]) == t


def by_ends(edges: Iterable[Edge]) -> dict[tuple[Component, Component, str], list[Edge]]:
    found = defaultdict[tuple[Component, Component, str], list[Edge]](list)
    for edge in edges:
        found[edge.sender, edge.receiver, edge.channel].append(edge)
    return dict(found)


def logits_of(bench: CircuitBench, found: Any, call: int) -> torch.Tensor:
    assert bench.model is not None
    return unembed(bench.model, found[0, call])


def check(bench: CircuitBench, found: Any, expected: Callable[[int], torch.Tensor]) -> None:
    for call in range(len(bench.calls)):
        row = int(bench.calls.reference[call])
        end = int(DATA.locate(parse_slots("END")[0])[row])
        torch.testing.assert_close(logits_of(bench, found, call), expected(call)[end], rtol=1e-9, atol=1e-9)


CASES = [
    (kind, ablation, direction, seed)
    for seed, (kind, ablation, direction) in enumerate(
        (kind, ablation, direction)
        for kind in MODELS
        for ablation in ("mean", "zero", "paired", "resample")
        for direction in ("noising", "denoising")
    )
]


@pytest.mark.parametrize(("kind", "ablation", "direction", "seed"), CASES)
def test_components(kind: str, ablation: str, direction: str, seed: int) -> None:
    model, rng = model_of(kind), random.Random(seed)
    without = rng.random() < 0.5
    graph = TransformerGraph("tiny", model.shape)
    through = rng.choice([(), ("mlps",)] if model.shape.d_mlp else [()])
    writers = [c for c in graph.writers() if c.kind != "mlp" or not through]
    nodes = {Node(c, rng.choice(SLOTS)) for c in writers for _ in range(2) if rng.random() < 0.5}
    circuit = Circuit.from_parts(nodes)
    bench = CircuitBench.of(experiment_on(model, ablation, direction, through), model, circuit, seed, drawn(ablation))
    noising = (direction == "noising") != without

    def expected(call: int) -> torch.Tensor:
        row = int(bench.calls.reference[call])
        start, frozen = sides(bench, call)

        def live(c: Component, t: int) -> bool:
            inside = any(n.component == c and held(n, row, t) for n in nodes)
            return c in bench.passed or inside == noising

        return run_components(model, DATA.rows[row].tokens, start, frozen, live)

    check(bench, bench.outputs([circuit], without=without), expected)


@pytest.mark.parametrize(("kind", "ablation", "direction", "seed"), CASES)
def test_edges(kind: str, ablation: str, direction: str, seed: int) -> None:
    model, rng = model_of(kind), random.Random(1000 + seed)
    share = rng.choice([0.1, 0.5])
    graph = TransformerGraph("tiny", model.shape)
    through = rng.choice([(), ("mlps",), ("mlps 0", "1.1")] if model.shape.d_mlp else [(), ("0.1",)])
    experiment = experiment_on(model, ablation, direction, through)
    universe = every_edge(graph, experiment.named_through, LOGITS)
    slots = SLOTS if rng.random() < 0.5 else (None,)
    edges = {Edge(e.sender, e.receiver, e.channel, s) for e in universe for s in slots if rng.random() < share}
    circuit, between = Circuit(edges=frozenset(edges)), by_ends(edges)
    bench = CircuitBench.of(experiment, model, circuit, seed, drawn(ablation))
    inner, noising = frozenset(c for c in bench.passed if c != POS), direction == "noising"

    def expected(call: int) -> torch.Tensor:
        row = int(bench.calls.reference[call])
        start, frozen = sides(bench, call)

        def live(sender: Component, receiver: Component, channel: str, t: int) -> bool:
            inside = any(held(edge, row, t) for edge in between.get((sender, receiver, channel), ()))
            return sender in bench.passed or inside == noising

        return run_edges(model, DATA.rows[row].tokens, start, frozen, live, inner)

    check(bench, bench.runner.edges([circuit]), expected)


PATHS = (
    "0.1 -> 1.2.q -> logits",
    "embed -> 0.0.k -> 1.1.v -> logits; 0.0 -> logits",
    "0.3 ~all~> logits",
    "0.0 ~mlps~> 1.1.q ~mlps~> logits; 0.0 -> logits; 0.2 ~mlps~> 1.1.k -> logits",
    "mlp 0 -> 1.0.v -> mlp 1 -> logits",
    "0.1 -> mlp 0 -> 1.3.k -> logits; 0.2 ~all~> 1.3.q -> logits",
    "attn 0 -> 1.0 -> logits",
    "resid 1 -> 1.1.k -> logits; 1.0 -> logits",
    "0.1 ~all~> logits; 1.2 ~all~> logits",
    "0.0 -> mlp 1 -> logits; 0.1 ~mlps~> logits",
    "mlp 1 -> logits; 0.1 ~mlps~> logits",
    "0.1 -> mlp 1 -> logits; 0.1 ~mlps~> logits",
)


@pytest.mark.parametrize("text", PATHS)
@pytest.mark.parametrize(("kind", "ablation", "direction"), [
    ("gpt2", "paired", "noising"), ("grouped", "mean", "noising"), ("neox parallel", "resample", "noising"),
    ("gpt2", "zero", "denoising"), ("grouped", "paired", "denoising"), ("bidirectional", "mean", "denoising"),
    ("alibi", "paired", "noising"), ("sinks", "paired", "denoising"),
])  # fmt: skip
def test_paths(kind: str, ablation: str, direction: str, text: str) -> None:
    model = model_of(kind)
    experiment = experiment_on(model, ablation, direction)
    if kind == "neox parallel":  # its MLPs do not read their own layer's heads
        text = text.replace("0.1 -> mlp 0 -> ", "0.1 -> mlp 1 -> logits; 0.1 -> ").replace("1.0.v -> mlp 1", "1.0.v")
    paths = [path for piece in text.split(";") for path in parse_path(piece, experiment.graph)]
    bench = bench_for(experiment, model, paths, 3, drawn(ablation))

    def expected(call: int) -> torch.Tensor:
        row = int(bench.calls.reference[call])
        tokens = DATA.rows[row].tokens
        start, frozen = sides(bench, call)
        if direction == "noising":
            own, other = start, frozen
        else:
            own, other = as_run(model, tokens, start), frozen
        listed = [p for path in paths for p in plain(path, experiment)]
        return patch_paths(model, tokens, own, other, listed)

    check(bench, bench.runner.paths([paths]), expected)


def as_run(model: Transformer, tokens: tuple[int, ...], start: Any) -> Any:
    from circuit.oracle import OnTransformer, by_components, embedded

    inputs = {c: start[c] for c in embedded(model, tokens)}
    return by_components(OnTransformer(model), inputs, {}, lambda c, t: True)


def plain(path: Path, experiment: Experiment) -> list[Any]:
    """The oracle's form of a path, senders in finest components."""
    hops = [(hop.receiver, hop.channel, experiment.graph.passed(hop.through)) for hop in path.hops]
    return [(sender, hops) for sender in sorted(experiment.graph.atoms(path.sender.component)) if sender != POS]
