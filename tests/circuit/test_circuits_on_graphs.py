"""Circuits and paths of computation graphs: random ones equal the slow oracle, worked ones their exact answers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

import scrub
from circuit.oracle import Values, graph_components, graph_edges, graph_own, graph_paths, node
from engine.graph_cases import OUTPUT, graph_of, rows_of
from scrub import Dataset, Metric
from scrub.anatomy.edges import Edge, Node
from scrub.anatomy.names import Component
from scrub.anatomy.shape import Shape
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import Experiment, resolve
from scrub.circuit.paths import Path, parse_path
from scrub.circuit.sweep import bench_for
from scrub.claims.protocol import Protocol
from scrub.model.computation import Computation
from scrub.model.weights import Attn, Block, Norm, Transformer
from strategies_models import random_graph, random_rows

OUT = node("out")
CASES = [
    (ablation, direction, 10 * number + seed)
    for number, (ablation, direction) in enumerate(
        (ablation, direction)
        for ablation in ("mean", "zero", "paired", "resample")
        for direction in ("noising", "denoising")
    )
    for seed in range(8)
]


def experiment_on(rng: random.Random, ablation: str, direction: str) -> Experiment:
    """A random graph and rows; a group, reference rows and passed-through nodes, where the data allow them."""
    model = Computation.of(random_graph(rng))
    data = random_rows(rng, model.inputs(), tokens=False)
    counts = Counter(row.columns["group"] for row in data.rows if row.columns["spare"])
    alike = all(counts[row.columns["group"]] > 1 for row in data.rows)
    inner = [name for name, found in model.nodes.items() if name != "out"]
    through = rng.choice([(), (), tuple(rng.sample(inner, rng.randint(1, len(inner))))])
    return resolve(
        model, data, OUTPUT, None, Protocol(ablation=ablation, direction=direction), answer=None, output=OUT,
        rows=None, group="group" if alike else None, reference="spare" if alike else None, pair="mate",
        through=through, scored="scored",
    )  # fmt: skip


def model_of(experiment: Experiment) -> Computation:
    assert isinstance(experiment.graph, Computation)
    return experiment.graph


def draws_of(ablation: str) -> int | None:
    return 3 if ablation == "resample" else None


def sides(bench: CircuitBench, call: int) -> tuple[Values, Values]:
    """The values that a run starts on, and what is frozen."""
    experiment, model = bench.experiment, model_of(bench.experiment)
    row = int(bench.calls.reference[call])
    every = [graph_own(model, other.columns) for other in experiment.data.rows]
    match experiment.protocol.ablation:
        case "mean":
            members = [
                i for i in np.flatnonzero(experiment.reference) if experiment.group[i] == experiment.group[row]
            ]
            other = {name: float(np.mean([every[i][name] for i in members])) for name in every[row]}
        case "zero":
            other = dict.fromkeys(every[row], 0)
        case "paired":
            other = every[experiment.data.rows[row].columns["mate"]]
        case _:
            other = every[int(experiment.donors(bench.calls, bench.seed)[call])]
    return (every[row], other) if experiment.protocol.direction == "noising" else (other, every[row])


def check(bench: CircuitBench, found: Sequence[Any], expected: Callable[[Values, Values], Any]) -> None:
    assert len(found) == len(bench.calls) > 0
    wanted = [expected(*sides(bench, call)) for call in range(len(bench.calls))]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("without", [False, True])
@pytest.mark.parametrize(("ablation", "direction", "seed"), CASES)
def test_components(ablation: str, direction: str, seed: int, without: bool) -> None:
    rng = random.Random(seed)
    experiment = experiment_on(rng, ablation, direction)
    free = [node(name) for name in model_of(experiment).nodes if name != "out"]
    named = {c for c in free if c not in experiment.named_through and rng.random() < 0.5}
    circuit = Circuit.from_parts(map(Node, named))
    bench = CircuitBench.of(experiment, None, circuit, seed, draws_of(ablation))
    inside = (direction == "noising") != without

    def live(c: Component) -> bool:
        return c == OUT or c in bench.passed or (c in named) == inside

    found = bench.outputs([circuit], without=without)[0]
    check(bench, found, lambda start, frozen: graph_components(model_of(experiment), start, frozen, live)[OUT])


@pytest.mark.parametrize("without", [False, True])
@pytest.mark.parametrize(("ablation", "direction", "seed"), CASES)
def test_edges(ablation: str, direction: str, seed: int, without: bool) -> None:
    rng = random.Random(1000 + seed)
    experiment = experiment_on(rng, ablation, direction)
    passed = experiment.named_through
    every = [
        Edge(node(name), node(reader), name)
        for reader, found in model_of(experiment).nodes.items()
        for name in found.arguments
        if not {node(name), node(reader)} & passed
    ]
    edges = {edge for edge in every if rng.random() < 0.5}
    circuit = Circuit(edges=frozenset(edges))
    bench = CircuitBench.of(experiment, None, circuit, seed, draws_of(ablation))
    inside = (direction == "noising") != without

    functions = frozenset(c for c in passed if model_of(experiment).nodes[c.name].function)

    def live(sender: Component, receiver: Component, channel: str) -> bool:
        return sender in passed or (Edge(sender, receiver, channel) in edges) == inside

    def expected(start: Values, frozen: Values) -> Any:
        return graph_edges(model_of(experiment), start, frozen, live, functions)[OUT]

    check(bench, bench.runner.edges([circuit], without=without)[0], expected)


def random_path(rng: random.Random, model: Computation) -> str:
    """A walk to the output; some of the nodes on its way are passed through."""
    at = rng.choice([name for name in model.nodes if name != "out"])
    text, skipped = at, list[str]()
    while at != "out":
        at = rng.choice([reader for reader, found in model.nodes.items() if at in found.arguments])
        if at != "out" and rng.random() < 0.3:
            skipped.append(at)
            continue
        text += f" ~{rng.choice(['all', ', '.join(skipped)])}~> {at}" if skipped else f" -> {at}"
        skipped = []
    return text


def random_paths(rng: random.Random, model: Computation, number: int) -> list[Path]:
    """At most so many walks; none stops at a node that another one passes through."""
    found: list[Path] = []
    stops, skipped = set[Component](), set[Component]()
    for _ in range(number):
        more = parse_path(random_path(rng, model), model)
        new = {path.sender.component for path in more} | {hop.receiver for path in more for hop in path.hops} - {OUT}
        over = {c for path in more for hop in path.hops for c in model.passed(hop.through)}
        if not (new & skipped or over & stops):
            found, stops, skipped = [*found, *more], stops | new, skipped | over
    return found


@pytest.mark.parametrize(("ablation", "direction", "seed"), CASES)
def test_paths(ablation: str, direction: str, seed: int) -> None:
    rng = random.Random(2000 + seed)
    experiment = experiment_on(rng, ablation, direction)
    model = model_of(experiment)
    paths = random_paths(rng, model, rng.choice([1, 1, 2, 3]))
    bench = bench_for(experiment, None, paths, seed, draws_of(ablation))

    def plain(path: Path) -> Any:
        hops = [(hop.receiver, hop.channel, model.passed(hop.through)) for hop in path.hops]
        return path.sender.component, hops

    def expected(start: Values, other: Values) -> Any:
        run = graph_own(model, {name: start[node(name)] for name in model.inputs()})
        return graph_paths(model, run, other, map(plain, paths), "out")

    check(bench, bench.runner.paths([paths])[0], expected)


@pytest.mark.parametrize("direction", ["noising", "denoising"])
@pytest.mark.parametrize("seed", range(4))
def test_a_mixed_bag_is_each_of_its_own(direction: str, seed: int) -> None:
    """Several circuits in one call are not mixed up, and draws are averaged row by row."""
    rng = random.Random(seed)
    experiment = experiment_on(rng, "resample", direction)
    free = [node(n) for n in model_of(experiment).nodes if n != "out" and node(n) not in experiment.named_through]
    circuits = [Circuit.from_parts(Node(c) for c in free if rng.random() < 0.5) for _ in range(4)]
    bench = CircuitBench.of(experiment, None, Circuit(), seed, 3)
    outputs = np.array([bench.outputs([circuit])[0] for circuit in circuits])
    assert bench.scores(circuits).shape == (4, len(experiment.rows))
    np.testing.assert_allclose(bench.scores(circuits), outputs.reshape(4, -1, 3).mean(2), rtol=1e-12, atol=1e-12)


# the output is x + h1 + h2; x is 1 in the row and 0 in its partner
E = graph_of(h1=lambda x: 2 * x, h2=lambda x, h1: 3 * (x + h1), out=lambda x, h1, h2: x + h1 + h2)
F = graph_of(h1=lambda x: 2 * x, h2=lambda x, h1: (x + h1) ** 2, out=lambda x, h1, h2: x + h1 + h2)
PAIR = rows_of([{"x": 1, "pair": 1, "scored": True}, {"x": 0, "pair": 0, "scored": False}])
EVERY = "x -> out; x -> h1 -> out; x -> h2 -> out; x -> h1 -> h2 -> out"


def effect(paths: str, model: Any, data: Dataset = PAIR, **setting: Any) -> float:
    """The change of the output when paths are patched between the row and its partner."""
    known = {"metric": OUTPUT, "ablation": "paired", "pair": "pair", "scored": "scored", **setting}
    found = scrub.patch_paths(paths, model=model, data=data, **known)
    assert found.value.value - found.base == pytest.approx(found.change.value)
    return found.change.value


WEIGHTS = {"x -> out": 1, "x -> h1 -> out": 2, "x -> h2 -> out": 3, "x -> h1 -> h2 -> out": 6}


@pytest.mark.parametrize(
    ("paths", "weight"),
    [*WEIGHTS.items(), ("h1 -> out; h1 -> h2 -> out", 8), ("h1 ~all~> out", 8), ("x ~all~> out", 12), (EVERY, 12)],
)
def test_example_e_where_effects_add(paths: str, weight: int) -> None:
    """A linear graph: every path has its weight, whichever row is run and whatever else is patched."""
    assert effect(paths, E, direction="denoising") == weight
    assert effect(paths, E, direction="noising") == -weight
    alone = [effect(path, E, direction="denoising") for path in paths.split(";")]
    assert sum(alone) == weight


@pytest.mark.parametrize(
    ("paths", "weight", "back"),
    [
        ("x -> h2 -> out", 1, -5),
        ("x -> h1 -> h2 -> out", 4, -8),
        ("x -> h2 -> out; x -> h1 -> h2 -> out", 9, -9),
        (EVERY, 12, -12),
    ],
)
def test_example_f_where_effects_do_not_add(paths: str, weight: int, back: int) -> None:
    """h2 is a square: two paths into it are worth 1 and 4 alone, 9 together; put in place of 9 they cost 5 and 8."""
    assert effect(paths, F, direction="denoising") == weight
    assert effect(paths, F, direction="noising") == back


@pytest.mark.parametrize(
    ("model", "alone", "joint"),
    [(E, {"x -> h2": 3, "h1 -> h2": 6}, 9), (F, {"x -> h2": 5, "h1 -> h2": 8}, 9)],
)
def test_edges_of_the_examples(model: Any, alone: dict[str, int], joint: int) -> None:
    """Edges taken out of the model: in E their effects add up to that of both, in F they do not."""

    def lost(edges: str) -> float:
        found = scrub.run_circuit(
            edges,
            model=model,
            data=PAIR,
            metric=OUTPUT,
            without=True,
            ablation="paired",
            pair="pair",
            scored="scored",
        )
        return -found.change.value

    assert {edge: lost(edge) for edge in alone} == alone
    assert lost(", ".join(alone)) == joint


FIRST = Metric(lambda output, row: float(output[0]), better="higher", name="first")
SECOND = Metric(lambda output, row: float(output[1]), better="higher", name="second")


@pytest.mark.parametrize(("metric", "base", "exact", "linear"), [(FIRST, 0, 0.6, 0.75), (SECOND, 1, 0.8, 1.0)])
def test_example_g_a_reader_that_normalises(metric: Metric, base: int, exact: float, linear: float) -> None:
    """(3, 0) put back onto (0, 4): the scale is a node, recomputed where paths pass through it, else kept."""
    graph = graph_of(
        stream=lambda sender: np.array([3.0 * sender, 4.0]),
        scale=lambda stream: np.hypot(*stream),
        out=lambda stream, scale: stream / scale,
    )
    data = rows_of([{"sender": 1, "pair": 1, "scored": True}, {"sender": 0, "pair": 0, "scored": False}])
    options = {"data": data, "metric": metric, "direction": "denoising"}
    assert base + effect("sender ~all~> out", graph, **options) == pytest.approx(exact, abs=1e-12)
    assert base + effect("sender -> stream -> out", graph, **options) == pytest.approx(linear, abs=1e-12)


@pytest.mark.parametrize(("metric", "base", "exact"), [(FIRST, 0, 0.6), (SECOND, 1, 0.8)])
def test_example_g_in_a_transformer(metric: Metric, base: int, exact: float) -> None:
    """The embedding writes (3, 0) and the position (0, 4); the final norm is recomputed, so the answer is exact."""
    nothing = torch.zeros(1, 2, 1, dtype=torch.float64)
    attn = Attn(nothing, nothing, nothing, nothing.mT, None, None, None, None, scale=1.0)
    shape = Shape("normalised", 1, 1, 1, 2, 1, 0, 2, 1, "learned", False, True)
    model = Transformer(
        shape,
        torch.tensor([[0, 0], [3, 0]], dtype=torch.float64),
        torch.tensor([[0, 4]], dtype=torch.float64),
        (Block(Norm("none"), attn),),
        Norm("rms", torch.full((2,), 0.5**0.5, dtype=torch.float64), None, eps=0.0),
        torch.eye(2, dtype=torch.float64),
        name="normalised",
    )
    data = Dataset.from_rows([
        {"tokens": [1], "columns": {"pair": 1, "scored": True}},
        {"tokens": [0], "columns": {"pair": 0, "scored": False}},
    ])  # fmt: skip
    options = {"data": data, "metric": metric, "dtype": "float64"}
    assert base + effect("embed -> logits", model, direction="denoising", **options) == pytest.approx(exact, abs=1e-9)
    assert exact + effect("embed -> logits", model, direction="noising", **options) == pytest.approx(base, abs=1e-9)
