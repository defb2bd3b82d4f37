"""Circuits and paths as `scrub` runs them, against the model's own hooks, one forward pass after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from by_hooks import (
    DONOR,
    MODELS,
    NORMED,
    NOTHING,
    ROW,
    coin,
    components_by_hooks,
    differs,
    direct_paths,
    edges_by_hooks,
    hooked_values,
    model_of,
    putting,
    tokens,
    writers,
)
from oracle import EMBED, LOGITS, POS, Passed, Values
from torch import Tensor

from engine.hooked import Hooked, mixed_rows
from scrub import Dataset
from scrub.anatomy.edges import Edge, Node
from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.positions import Slot, parse_slots
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import Experiment, resolve
from scrub.circuit.paths import parse_path, wire_paths
from scrub.circuit.sweep import bench_for
from scrub.circuit.universe import every_edge
from scrub.claims.metric import parse_metric
from scrub.claims.protocol import Protocol
from scrub.errors import ClaimError
from scrub.model.layers import unembed

PLACES: tuple[Slot | None, ...] = (None, *parse_slots("A END"))
TOLD = mixed_rows()
# every row's partner is 7, which is one of the longest
DATA = Dataset.from_rows(
    {"tokens": row.tokens, "positions": row.positions, "columns": {**row.columns, "pair": 3 if i == DONOR else DONOR}}
    for i, row in enumerate(TOLD.rows)
)
# the names of rows 2 and 7 in the order in which they align: A and END are in every circuit, B in the data
ALIGNED = {ROW: DATA.rows[ROW].positions, DONOR: DATA.rows[DONOR].positions}


def experiment_on(model: Hooked, data: Dataset = DATA, rows: Sequence[int] = (ROW,), **given: Any) -> Experiment:
    options = {"group": None, "pair": "pair", "through": (), "at": "END", **given}
    words = {name: options.pop(name) for name in ("ablation", "direction") if name in options}
    return resolve(
        TransformerGraph("tiny", model.weights.shape), data, parse_metric("loss(label)"), None, Protocol(**words),
        answer=parse_slots(options.pop("at"))[0], output=LOGITS, rows=np.array(rows), reference=None, **options,
    )  # fmt: skip


def agree(bench: CircuitBench, model: Hooked, found: Any, expected: Tensor, row: int = ROW) -> None:
    """The logits of one circuit, on one of the bench's rows, are those of the hooks at its answer."""
    assert bench.model is not None
    assert bench.experiment.answer is not None
    call = list(bench.calls.reference).index(row)
    end = int(bench.experiment.data.locate(bench.experiment.answer)[row])
    near = max(model.tolerance, 1e-9)
    torch.testing.assert_close(unembed(bench.model, found[call]), expected[end], rtol=near, atol=near)


def own_values(model: Hooked) -> Values:
    return hooked_values(model, ROW, range(len(tokens(ROW))))


def donor_values(model: Hooked) -> Values:
    """What the hooks carry on the partner, at the positions of the same name, else of the same index."""
    where = list(range(len(tokens(ROW))))
    for name in ("B", "END", "A"):  # where two names meet, the later ones here have precedence
        where[ALIGNED[ROW][name]] = ALIGNED[DONOR][name]
    return hooked_values(model, DONOR, where)


def zero_values(model: Hooked) -> Values:
    return {component: torch.zeros_like(value) for component, value in own_values(model).items()}


def mean_values(model: Hooked, group: str | None) -> Values:
    """What the hooks carry, averaged by hand over the rows of the group that have a position."""
    alike = [i for i, row in enumerate(DATA.rows) if not group or row.columns[group] == DATA.rows[ROW].columns[group]]
    names = {ALIGNED[ROW][name]: name for name in ("B", "END", "A")}
    means: dict[Component, list[Tensor]] = {component: [] for component in writers(model)}
    for t in range(len(tokens(ROW))):
        index = {i: DATA.rows[i].positions[names[t]] if t in names else t for i in alike}
        having = [hooked_values(model, i, [at]) for i, at in index.items() if at < len(tokens(i))]
        for component, found in means.items():
            found.append(sum(values[component][0] for values in having) / len(having))
    return {component: torch.stack(found) for component, found in means.items()}


def ablated(model: Hooked, ablation: str, group: str | None = None) -> Values:
    if ablation == "mean":
        return mean_values(model, group)
    return donor_values(model) if ablation == "paired" else zero_values(model)


def sides(model: Hooked, bench: CircuitBench, group: str | None = None) -> tuple[Values, Values]:
    """The embeddings that a run starts on, and what is frozen; positions are the row's own where they are no part."""
    protocol, own = bench.experiment.protocol, own_values(model)
    other = ablated(model, protocol.ablation, group)
    if POS in bench.passed and POS in own:
        other = {**other, POS: own[POS]}
    return (own, other) if protocol.direction == "noising" else (other, own)


def held(at: Slot | None, t: int) -> bool:
    return at is None or int(DATA.locate(at)[ROW]) == t


WAYS = [
    ("paired", "noising"),
    ("paired", "denoising"),
    ("zero", "noising"),
    ("mean", "noising"),
    ("mean", "denoising"),
]


@pytest.mark.parametrize(("ablation", "direction"), WAYS)
@pytest.mark.parametrize("name", [*MODELS, *NORMED])
def test_components(name: str, ablation: str, direction: str) -> None:
    """A random part of components and positions, on a batch of rows of several lengths."""
    model, chosen = model_of(name), coin(5)
    places = [(c, at) for c, at in product(writers(model), PLACES) if c not in (EMBED, POS)]
    nodes = {Node(c, at) for c, at in places if chosen(c, at) and chosen(at, c)} | {Node(EMBED, PLACES[1])}
    circuit = Circuit.from_parts(nodes)
    experiment = experiment_on(model, rows=[ROW, 3, DONOR], ablation=ablation, direction=direction)
    bench = CircuitBench.of(experiment, model.weights, circuit)
    start, frozen = sides(model, bench)
    for without in (False, True):
        inside = (direction == "noising") != without

        def live(c: Component, t: int, inside: bool = inside) -> bool:
            return c in bench.passed or any(n.component == c and held(n.at, t) for n in nodes) == inside

        expected = components_by_hooks(model, start, frozen, live)
        agree(bench, model, bench.outputs([circuit], without=without)[0], expected)
        differs(expected, model.plain(tokens(ROW)))


def test_edges_and_paths_are_refused_where_the_stream_is_normed() -> None:
    """What a channel reads is no sum there, so that no edge can be exchanged alone."""
    model = model_of("bert")
    circuit = Circuit.parse("0.1 -> 1.2.q")
    with pytest.raises(ClaimError, match="edges and paths of tiny are not known: it norms its stream itself"):
        CircuitBench.of(experiment_on(model), model.weights, circuit).outputs([circuit])
    experiment = experiment_on(model)
    with pytest.raises(ClaimError, match="circuits of heads and MLPs"):
        wire_paths(experiment.graph, parse_path("0.1 -> logits", experiment.graph), LOGITS)


@pytest.mark.parametrize("group", [None, "kind"])
@pytest.mark.parametrize("name", ["gpt2", "llama, grouped"])
def test_means_by_hand(name: str, group: str | None) -> None:
    """Nothing is kept but a head at a named position: everything else has its mean, by name, index and group."""
    model = model_of(name)
    circuit = Circuit.parse("pos, 1.2 @ A, 2.1 @ END" if name == "gpt2" else "1.2 @ A, 2.1 @ END")
    experiment = experiment_on(model, rows=[ROW, 3, DONOR], ablation="mean", group=group)
    bench = CircuitBench.of(experiment, model.weights, circuit)
    start, frozen = sides(model, bench, group)

    def live(c: Component, t: int) -> bool:
        return c in bench.passed or any(n.component == c and held(n.at, t) for n in circuit.nodes)

    expected = components_by_hooks(model, start, frozen, live)
    agree(bench, model, bench.outputs([circuit])[0], expected)
    differs(mean_values(model, None)[Component("mlp", 0)], mean_values(model, "kind")[Component("mlp", 0)])


def test_the_rows_of_the_means_are_ragged_and_their_names_move() -> None:
    assert {len(row.tokens) for row in DATA.rows} == {6, 7, 8, 9}
    assert len(set(ALIGNED[ROW].values())) == len(set(ALIGNED[DONOR].values())) == 3
    assert all(ALIGNED[ROW][name] != ALIGNED[DONOR][name] for name in ("A", "END"))


PASSES = {"nothing": "", "mlps": "mlp 0, mlp 1, mlp 2", "some of each": "0.1, mlp 1, 1.2, 1.3, 2.0"}


def edge_run(model: Hooked, edges: set[Edge], through: str, **given: Any) -> tuple[CircuitBench, Tensor, Tensor]:
    """A bench for a circuit of edges, its final stream, and the logits by hooks."""
    words = tuple(PASSES[through].split(", ")) if through != "nothing" else ()
    passed: Passed = frozenset(map(parse_component, words))
    circuit = Circuit(edges=frozenset(edges))
    bench = CircuitBench.of(experiment_on(model, through=words, **given), model.weights, circuit)
    start, frozen = sides(model, bench)
    inside = bench.experiment.protocol.direction == "noising"

    def live(sender: Component, receiver: Component, channel: str, t: int) -> bool:
        if sender in bench.passed:
            return True
        return any(Edge(sender, receiver, channel, at) in edges and held(at, t) for at in PLACES) == inside

    return bench, bench.runner.edges([circuit])[0], edges_by_hooks(model, start, frozen, live, passed)


def edges_of(model: Hooked, through: str) -> tuple[Edge, ...]:
    passed = frozenset(map(parse_component, PASSES[through].split(", "))) if PASSES[through] else NOTHING
    return every_edge(TransformerGraph("tiny", model.weights.shape), passed, LOGITS)


EDGE_CASES = [
    *(("gpt2", through, *way) for through, way in zip(PASSES, WAYS, strict=False)),
    ("gpt2", "mlps", "mean", "denoising"),
    ("neox parallel", "nothing", "paired", "denoising"),
    ("neox parallel", "mlps", "zero", "noising"),
    ("llama, grouped", "nothing", "paired", "noising"),
    ("llama, grouped", "some of each", "mean", "denoising"),
]


@pytest.mark.parametrize(("name", "through", "ablation", "direction"), EDGE_CASES)
def test_edges(name: str, through: str, ablation: str, direction: str) -> None:
    """A random half of all edges, some of them at named positions."""
    model, chosen = model_of(name), coin(6)
    edges = {
        Edge(e.sender, e.receiver, e.channel, at)
        for e, at in product(edges_of(model, through), PLACES)
        if chosen(e, at) and (at or chosen(at, e))
    }
    bench, found, expected = edge_run(model, edges, through, ablation=ablation, direction=direction)
    agree(bench, model, found, expected)
    differs(expected, model.plain(tokens(ROW)))


CHANNELS = [("gpt2", "q"), ("gpt2", "k"), ("gpt2", "input"), ("neox parallel", "v"), ("neox parallel", "input")]
CHANNELS += [("llama, grouped", "k"), ("llama, grouped", "v")]


@pytest.mark.parametrize(("name", "channel"), CHANNELS)
def test_edges_of_one_channel(name: str, channel: str) -> None:
    """All edges but a random half of those into one channel, everywhere and at END alone."""
    model, chosen = model_of(name), coin(7)
    every = edges_of(model, "nothing")
    kept = {e for e in every if e.channel != channel or chosen(e)}
    kept |= {Edge(e.sender, e.receiver, e.channel, PLACES[2]) for e in every if chosen(e, "END")}
    bench, found, expected = edge_run(model, kept, "nothing", ablation="paired")
    agree(bench, model, found, expected)
    end = DATA.rows[ROW].positions["END"]
    differs(expected[end], model.plain(tokens(ROW))[end])


@pytest.mark.parametrize("direction", ["noising", "denoising"])
@pytest.mark.parametrize("name", MODELS)
def test_all_in_is_the_model_and_none_in_the_ablated_run(name: str, direction: str) -> None:
    model = model_of(name)
    every = Circuit(edges=frozenset(edges_of(model, "nothing")))
    experiment = experiment_on(model, rows=[ROW, 3, DONOR], ablation="paired", direction=direction)
    bench = CircuitBench.of(experiment, model.weights, every)
    start, frozen = sides(model, bench)
    if direction == "noising":
        nothing = components_by_hooks(model, start, frozen, lambda c, t: False)
    else:  # the model on the ablated embeddings
        inputs = {c: value for c, value in start.items() if c in (EMBED, POS)}
        nothing = model.run(tokens(ROW), putting(model, inputs))["logits"]
    model_run = model.plain(tokens(ROW))
    differs(nothing, model_run)
    for circuit, expected in ((every, model_run), (Circuit(), nothing)):
        agree(bench, model, bench.runner.edges([circuit])[0], expected)
    for circuit, expected in ((bench.everything, model_run), (Circuit(), nothing)):
        agree(bench, model, bench.outputs([circuit])[0], expected)


DIRECT = [("gpt2", "q"), ("gpt2", "k"), ("neox parallel", "v"), ("llama, grouped", "k"), ("llama, grouped", "v")]


@pytest.mark.parametrize(("name", "channel"), DIRECT)
def test_direct_paths_as_by_transformer_lens(name: str, channel: str) -> None:
    """A head's clean write for one channel of a later head, in the corrupted run: as an edge, and as a path."""
    model, clean, corrupted = model_of(name), tokens(6), tokens(2)
    data = Dataset.from_rows(
        {"tokens": row, "columns": {"label": 0, "pair": 1 - i}} for i, row in enumerate((corrupted, clean))
    )
    experiment = experiment_on(model, data, [0], ablation="paired", at=-1)
    every = frozenset(edges_of(model, "nothing"))
    for receiver, expected in direct_paths(model, clean, corrupted, channel):
        edge = Edge(Component("head", 0, 1), receiver, channel)
        circuit = Circuit(edges=every - {edge})
        bench = CircuitBench.of(experiment, model.weights, circuit)
        agree(bench, model, bench.runner.edges([circuit])[0], expected, row=0)
        removed = Circuit(edges=frozenset((edge,)))
        agree(bench, model, bench.outputs([removed], without=True)[0], expected, row=0)
        paths = parse_path(f"0.1 -> {receiver}.{channel} ~all~> logits", experiment.graph)
        along = bench_for(experiment, model.weights, paths, 0, None)
        agree(along, model, along.runner.paths([paths])[0], expected, row=0)


@pytest.mark.parametrize("direction", ["noising", "denoising"])
@pytest.mark.parametrize("name", MODELS)
def test_activation_patching(name: str, direction: str) -> None:
    """Everything that follows is computed anew: one forward pass with the sender's hook put in place."""
    model = model_of(name)
    experiment = experiment_on(model, ablation="paired", direction=direction)
    for text in ("1.2", "mlp 0 @ A", "embed @ END"):
        paths = parse_path(f"{text} ~all~> logits", experiment.graph)
        bench = bench_for(experiment, model.weights, paths, 0, None)
        start, new = sides(model, bench)
        inputs = {c: value for c, value in start.items() if c in (EMBED, POS)}
        sender, base = paths[0].sender, start
        if direction == "denoising":
            hooks = dict.fromkeys(model.where(c, 0)[0] for c in start)
            kept = model.run(tokens(ROW), putting(model, inputs), list(hooks))
            base = {c: kept[model.where(c, 0)[0]][model.where(c, slice(None))[1]] for c in start} | inputs
        there = torch.tensor([held(sender.at, t) for t in range(len(tokens(ROW)))])[:, None]
        put = torch.where(there, new[sender.component], base[sender.component])
        edits = putting(model, {**inputs, sender.component: put})
        agree(bench, model, bench.runner.paths([paths])[0], model.run(tokens(ROW), edits)["logits"])
