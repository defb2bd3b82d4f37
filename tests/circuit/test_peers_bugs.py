"""What went wrong in other tools for circuits, once for each: these tests keep it from happening here.

Most are worked by hand, or by a bridge's own hooks, one row after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import scrub
from engine.graph_cases import OUTPUT, graph_of, rows_of
from engine.hooked import Hooked, Patch
from model.tiny_models import native
from scrub import Dataset, Metric, ScrubError
from scrub.anatomy.names import Component
from scrub.anatomy.positions import parse_slots
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.criteria import Effort, findings
from scrub.circuit.experiment import resolve
from scrub.circuit.faithfulness import faithfulness
from scrub.circuit.ranking import PartRanking, cpr_cmd
from scrub.circuit.recovery import recovery
from scrub.circuit.universe import every_edge
from scrub.claims.metric import AnyMetric, parse_metric
from scrub.claims.protocol import Protocol
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer

EVERYWHERE = (slice(None),)
POS, LOGITS, LAST = Component("pos"), Component("logits"), parse_slots(-1)[0]


def ragged(*lengths: int) -> Dataset:
    """Rows of these lengths, without names, whose logits are compared for two tokens."""
    tokens = [[(5 * i + 3 * t + i * t) % 31 for t in range(length)] for i, length in enumerate(lengths)]
    return Dataset.from_rows({"tokens": row, "columns": {"a": row[0], "b": (row[0] + 7) % 31}} for row in tokens)


def scores(circuit: str | Circuit, model: Any, data: Dataset, **options: Any) -> np.ndarray:
    """The metric of a run on each row, in fp64."""
    setting = {"metric": "logit_diff(a, b)", "dtype": "float64", **options}
    found = scrub.run_circuit(circuit, model=model, data=data, **setting)
    return np.array(found.table["score"])


def difference(logits: Tensor, data: Dataset, row: int) -> float:
    columns = data.rows[row].columns
    return float(logits[-1, columns["a"]] - logits[-1, columns["b"]])


def bench_of(
    graph: Computation, data: Dataset, circuit: Circuit, metric: AnyMetric = OUTPUT, **protocol: Any
) -> CircuitBench:
    """A bench on a computation graph."""
    experiment = resolve(
        graph, data, metric, None, Protocol(**protocol), answer=None, output=Component.for_node(graph.ends[-1]),
        rows=None, group=None, reference=None, pair=None, through=(),
    )  # fmt: skip
    return CircuitBench.of(experiment, None, circuit)


def bench_on(weights: Transformer, data: Dataset, circuit: Circuit, **protocol: Any) -> CircuitBench:
    """A bench on a transformer."""
    experiment = resolve(
        TransformerGraph("tiny", weights.shape), data, parse_metric("logit_diff(a, b)"), None, Protocol(**protocol),
        answer=LAST, output=LOGITS, rows=None, group=None, reference=None, pair=None, through=(),
    )  # fmt: skip
    return CircuitBench.of(experiment, weights, circuit)


# means are of one component and one position


RAGGED = ragged(3, 5, 4, 5, 4, 5)


def hooked_means(model: Hooked, hook: str, index: Callable[[int], Any]) -> list[Tensor]:
    """The mean of what a hook sees at each position, over the rows that are long enough."""
    values = [model.own(row.tokens)[hook][index(len(row.tokens))] for row in RAGGED.rows]
    longest = max(len(value) for value in values)
    return [torch.stack([value[t] for value in values if len(value) > t]).mean(0) for t in range(longest)]


def test_a_mean_is_of_one_component_at_one_position_over_the_rows_that_have_it() -> None:
    """Two components at once, in rows of three lengths: neither padding nor the other component is averaged in."""
    model = Hooked(native(), 1e-10)
    neurons = hooked_means(model, "blocks.0.hook_mlp_out", lambda n: slice(n))
    head = hooked_means(model, "blocks.1.attn.hook_z", lambda n: (slice(n), 2))
    found = scores("mlp 0, 1.2", model.bridge, RAGGED, without=True)
    one_vector: list[float] = []
    for number, row in enumerate(RAGGED.rows):
        n = len(row.tokens)
        patches: list[Patch] = [
            ("blocks.0.hook_mlp_out", EVERYWHERE, torch.stack(neurons[:n])),
            ("blocks.1.attn.hook_z", (slice(None), 2), torch.stack(head[:n])),
        ]
        expected = difference(model.patched(row.tokens, patches)["logits"], RAGGED, number)
        assert found[number] == pytest.approx(expected, rel=1e-8)
        flat = [(hook, index, value.mean(0).expand_as(value)) for hook, index, value in patches]
        one_vector.append(difference(model.patched(row.tokens, flat)["logits"], RAGGED, number))
    assert np.abs(found - one_vector).max() > 1e-2


def test_rows_are_run_as_if_they_were_alone_however_much_they_are_padded() -> None:
    """Two long rows, a group of their own, are padded for; a model that looks ahead would see the padding."""
    model = native(attention_dir="bidirectional")
    rows = [{"tokens": row.tokens, "columns": {**row.columns, "short": True}} for row in RAGGED.rows]
    long = [{"tokens": [token] * 9, "columns": {"a": 1, "b": 2, "short": False}} for token in (1, 2)]
    found = scores("0.1, mlp 1", model, Dataset.from_rows([*rows, *long]), group="short")
    np.testing.assert_allclose(found[: len(rows)], scores("0.1, mlp 1", model, RAGGED), rtol=1e-9)


# KL is a sum over the vocabulary


def closed_form(p: list[float], q: list[float]) -> float:
    """KL of three probabilities."""
    return p[0] * np.log(p[0] / q[0]) + p[1] * np.log(p[1] / q[1]) + p[2] * np.log(p[2] / q[2])


def test_kl_of_three_answers_is_the_closed_form() -> None:
    """Logits are logarithms of probabilities, and without its input the model answers at random."""
    graph = graph_of(out=lambda a: np.log([a, 1, 1]) if a else np.zeros(3))
    data = rows_of([{"a": 2}, {"a": 6}])
    expected = [closed_form([0.5, 0.25, 0.25], [1 / 3] * 3), closed_form([0.75, 0.125, 0.125], [1 / 3] * 3)]
    run = scrub.run_circuit("a", model=graph, data=data, metric="kl", without=True, ablation="zero")
    assert run.table["score"] == pytest.approx(expected)
    assert run.value.value == pytest.approx(np.mean(expected))
    assert run.base == pytest.approx(0)


def test_kl_beside_another_metric_is_the_same() -> None:
    graph = Computation.of(graph_of(out=lambda a: np.log([a, 1, 1]) if a else np.zeros(3)))
    data = rows_of([{"a": 2, "right": 0}, {"a": 6, "right": 0}])
    bench = bench_of(graph, data, Circuit(), parse_metric("loss(right)"), ablation="zero")
    found, _ = faithfulness(bench, Circuit())
    mean = (closed_form([0.5, 0.25, 0.25], [1 / 3] * 3) + closed_form([0.75, 0.125, 0.125], [1 / 3] * 3)) / 2
    assert found.beside["kl"] == {"model": pytest.approx(0), "circuit": pytest.approx(mean)}


def test_kl_of_a_transformer_with_three_tokens() -> None:
    model = Hooked(native(d_vocab=3), 1e-10)
    data = Dataset.from_rows({"tokens": [i % 3, (i + 1) % 3, i // 3]} for i in range(9))
    found = scores("mlp 1", model.bridge, data, metric="kl", without=True, ablation="zero")
    for number, row in enumerate(data.rows):
        nothing = torch.zeros(3, 16, dtype=torch.float64)
        without = model.patched(row.tokens, [("blocks.1.hook_mlp_out", EVERYWHERE, nothing)])["logits"][-1]
        p, q = model.plain(row.tokens)[-1].softmax(-1).tolist(), without.softmax(-1).tolist()
        assert found[number] == pytest.approx(closed_form(p, q), rel=1e-8)


# an edge that is not found is a miss


def test_a_reference_edge_that_the_hypothesis_lacks_is_a_miss() -> None:
    names = ["embed -> mlp 0", "embed -> logits", "mlp 0 -> logits", "embed -> mlp 1", "mlp 0 -> mlp 1"]
    universe, truth = Circuit.parse(names).parts, Circuit.parse(names[:2])
    one = recovery(Circuit.parse(names[0]), truth, universe)
    assert (one.precision, one.recall, one.missing) == (1, 0.5, Circuit.parse(names[1]).parts)
    assert one.auroc == pytest.approx((3 + 3 / 2) / 6)
    nothing, exact = recovery(Circuit(), truth, universe), recovery(truth, truth, universe)
    assert (nothing.auroc, nothing.recall, exact.auroc, exact.recall) == (0.5, 0, 1, 1)
    unscored = recovery(PartRanking.of({names[2]: 1.0}), truth, universe)
    assert unscored.auroc == pytest.approx((2 * 2 / 2) / 6)


# a misspelt edge is an error


def linear() -> Any:
    return graph_of(first=lambda a: a, second=lambda b: b, out=lambda first, second: 3 * first + second)


@pytest.mark.parametrize(
    ("edge", "words"),
    [
        ("frist -> out", ["frist -> out", "no frist", "did you mean first?"]),
        ("first -> outt", ["no outt", "did you mean out?"]),
        ("a -> out", ["a -> out", "out does not read a", "first, second"]),
    ],
)
def test_a_misspelt_edge_of_a_graph(edge: str, words: list[str]) -> None:
    data, good = rows_of([{"a": 1, "b": 1}]), "second -> out"
    graph = Computation.of(linear())
    with pytest.raises(ClaimError) as static:
        Circuit.parse([good, edge], graph).checked(graph)
    with pytest.raises(ScrubError) as run:
        scrub.run_circuit([good, edge], model=linear(), data=data, metric=OUTPUT, ablation="zero")
    for error in (static, run):
        assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ("edge", "words"),
    [
        ("0.9 -> logits", ["there is no 0.9", "did you mean 0.3?"]),
        ("embed -> mlp 2", ["there is no mlp 2", "did you mean mlp 1?"]),
        ("1.1 -> 0.1.q", ["no such edge", "the other way round there is 0.1 -> 1.1.q"]),
        ("0.1 -> mlp 1.q", ["one channel, its input"]),
        ("embed -> mpl 0", ["mpl 0", "names no component", "mlp 3"]),
        ("A5.2.Q->Resid End", ["Resid End", "names no component"]),
    ],
)
def test_a_misspelt_edge_of_a_transformer(edge: str, words: list[str]) -> None:
    bridge = native()
    graph = TransformerGraph("tiny", adapt(bridge).shape)
    with pytest.raises(ClaimError) as static:
        Circuit.parse(["embed -> logits", edge]).checked(graph)
    with pytest.raises(ScrubError) as run:
        scores(Circuit.parse(f"embed -> logits, {edge}"), bridge, RAGGED)
    for error in (static, run):
        assert all(word in str(error.value) for word in words), error.value


# a perfect circuit is equivalent to the model


def equivalent(bench: CircuitBench, circuit: Circuit) -> Any:
    _, table = faithfulness(bench, circuit)
    return next(
        found for found in findings(bench, circuit, table, Effort(1)) if found.name == "equivalent to the model"
    )


@pytest.mark.parametrize("ablation", ["mean", "zero", "resample"])
def test_a_perfect_circuit_of_a_graph_is_never_rejected(ablation: str) -> None:
    """`second` is read and does not matter: the circuit lacks it, and is the model on every row."""
    graph = Computation.of(
        graph_of(first=lambda a: a, second=lambda b: b, out=lambda first, second: first + 0 * second)
    )
    circuit = Circuit.parse("a -> first, first -> out", graph)
    rows = rows_of({"a": a, "b": a + 1} for a in range(30))
    found = equivalent(bench_of(graph, rows, circuit, ablation=ablation), circuit)
    assert (found.statistic, found.p, found.n, found.good) == (0, 1, 30, "not rejecting")


@pytest.mark.parametrize("direction", ["noising", "denoising"])
def test_a_perfect_circuit_of_a_transformer_is_never_rejected(direction: str) -> None:
    """Every edge, run in fp32: what differs is rounding, which may have one sign on all rows."""
    weights = adapt(native(), dtype=torch.float32)
    graph = TransformerGraph("tiny", weights.shape)
    circuit = Circuit.from_parts(every_edge(graph, frozenset((POS,)), LOGITS))
    bench = bench_on(weights, ragged(*[3, 4, 5] * 5), circuit, direction=direction)
    rounding = np.abs(bench.scores([circuit])[0] - bench.model_scores).max()
    assert (rounding > 0) == (direction == "noising")
    found = equivalent(bench, circuit)
    assert (found.statistic, found.p, found.n) == (0, 1, 15)


def test_a_circuit_that_is_worse_on_every_row_is_rejected() -> None:
    graph = Computation.of(linear())
    circuit = Circuit.parse("a -> first, first -> out", graph)
    found = equivalent(bench_of(graph, rows_of([{"a": 1, "b": 1}] * 30), circuit, ablation="zero"), circuit)
    assert (found.statistic, found.p < 1e-6) == (0.5, True)


# how many edges were run


def test_the_size_that_was_run_is_told_beside_the_size_that_was_asked_for() -> None:
    """Of the three best edges one is fed by nothing and one leads nowhere."""
    graph = Computation.of(linear())
    ranking = PartRanking.of(
        {"first -> out": 4.0, "b -> second": 3.0, "a -> first": 2.0, "second -> out": 1.0}, graph
    )
    bench = bench_of(graph, rows_of([{"a": 1, "b": 1}] * 2), ranking.circuit, ablation="zero")
    curve = cpr_cmd(bench, ranking, (0.25, 0.5, 0.75, 1))
    assert [(point.requested, point.effective) for point in curve.points] == [(1, 0), (2, 0), (3, 2), (4, 4)]
    assert [point["effective"] for point in curve.to_dict()["points"]] == [0, 0, 2, 4]
    assert [point.f for point in curve.points] == pytest.approx([0, 0, 0.75, 1])


# a model is left as it was


def condition(bridge: Any) -> dict[str, Any]:
    """Everything about a model that a run could leave behind."""
    modules = dict(bridge.named_modules())
    hooks = {
        name: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks), m.training)
        for name, m in modules.items()
    }
    points = {name: (len(m.fwd_hooks), len(m.bwd_hooks)) for name, m in modules.items() if hasattr(m, "fwd_hooks")}
    assert points, "the bridge has hook points"
    flags = {name: (p.requires_grad, p.grad is None) for name, p in bridge.named_parameters()}
    switches = {name: getattr(bridge.cfg, name, None) for name in ("use_split_qkv_input", "use_attn_result")}
    return {"hooks": hooks, "points": points, "flags": flags, "switches": switches, "grad": torch.is_grad_enabled()}


VERBS: dict[str, Callable[..., Any]] = {
    "a circuit": lambda **options: scrub.run_circuit("0.1, mlp 1", **options),
    "edges": lambda **options: scrub.run_circuit("embed -> 0.1.k, 0.1 -> logits", **options),
    "a path": lambda **options: scrub.patch_paths("0.1 -> 1.2.k ~all~> logits", **options),
    "a sweep": lambda **options: scrub.sweep("heads", **options),
}


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_left_changed_when_the_metric_raises(verb: str) -> None:
    """Whether it raises at once, or when the model's own run has been scored."""
    bridge, called = native(), list[int]()
    logits = bridge(torch.tensor([[1, 2, 3]])).detach()  # a bridge's first forward gives it hooks of its own
    before, weights = condition(bridge), {n: p.detach().clone() for n, p in bridge.named_parameters()}
    for after in (0, len(RAGGED)):
        called.clear()

        def failing(output: Any, row: Any, after: int = after) -> float:
            called.append(1)
            if len(called) > after:
                raise RuntimeError("no such answer")
            return float(output[0])

        with pytest.raises(ScrubError, match="no such answer"):
            VERBS[verb](model=bridge, data=RAGGED, metric=Metric(failing))
        assert len(called) == after + 1
        assert condition(bridge) == before
    assert all(torch.equal(weights[name], parameter) for name, parameter in bridge.named_parameters())
    assert torch.equal(bridge(torch.tensor([[1, 2, 3]])), logits)


# the position embedding stays outside a circuit unless it is named


def nothing_left(model: Hooked, row: int, pos: bool) -> float:
    """The metric when every component writes nothing, by hooks: with the row's position embedding or without."""
    n = len(RAGGED.rows[row].tokens)
    patches: list[Patch] = [("hook_embed", EVERYWHERE, torch.zeros(n, 16))]
    for layer in range(2):
        patches.append((f"blocks.{layer}.attn.hook_z", EVERYWHERE, torch.zeros(n, 4, 4)))
        patches.append((f"blocks.{layer}.hook_mlp_out", EVERYWHERE, torch.zeros(n, 16)))
    patches += [] if pos else [("hook_pos_embed", EVERYWHERE, torch.zeros(n, 16))]
    return difference(model.patched(RAGGED.rows[row].tokens, patches)["logits"], RAGGED, row)


def test_the_position_embedding_stays_unless_it_is_named() -> None:
    """Knocked out are all components: by their names, and then with `pos` among them."""
    model = Hooked(native(), 1e-10)
    everything = "embed, attn 0, mlp 0, attn 1, mlp 1"
    for names, pos in ((everything, True), (f"{everything}, pos", False)):
        found = scores(names, model.bridge, RAGGED, without=True, ablation="zero")
        expected = [nothing_left(model, row, pos) for row in range(len(RAGGED))]
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    differ = [nothing_left(model, row, True) - nothing_left(model, row, False) for row in range(len(RAGGED))]
    assert np.abs(differ).max() > 1e-2


def test_a_circuit_without_edges_from_pos_reads_it_everywhere() -> None:
    """By edges: no edge is in the circuit but `embed -> logits`, and every channel still reads the positions."""
    model = Hooked(native(), 1e-10)
    found = scores("embed -> logits", model.bridge, RAGGED, ablation="zero")
    also = scores("embed -> logits, pos -> logits", model.bridge, RAGGED, ablation="zero")
    alone = scores("embed -> logits, pos -> mlp 0", model.bridge, RAGGED, ablation="zero")
    weights = model.weights
    assert weights.W_pos is not None
    for row, values in enumerate(RAGGED.rows):
        n = len(values.tokens)
        patches: list[Patch] = [(f"blocks.{i}.attn.hook_z", EVERYWHERE, torch.zeros(n, 4, 4)) for i in range(2)]
        patches += [(f"blocks.{i}.hook_mlp_out", EVERYWHERE, torch.zeros(n, 16)) for i in range(2)]
        kept = model.patched(values.tokens, patches)["logits"]
        lost = model.patched(values.tokens, [*patches, ("hook_pos_embed", EVERYWHERE, torch.zeros(n, 16))])["logits"]
        assert found[row] == pytest.approx(difference(kept, RAGGED, row), rel=1e-8)
        assert also[row] == pytest.approx(difference(kept, RAGGED, row), rel=1e-8)
        assert alone[row] == pytest.approx(difference(lost, RAGGED, row), rel=1e-8)


def test_what_a_circuit_is_compared_with_has_pos_where_the_circuit_names_it() -> None:
    weights = adapt(native())
    graph = TransformerGraph("tiny", weights.shape)
    for names, inside in (("embed, 0.1", False), ("embed, pos, 0.1", True)):
        bench = bench_on(weights, RAGGED, Circuit.parse(names))
        assert (POS in bench.passed) != inside
        assert ("pos" in map(str, bench.everything)) == inside
        rest = Circuit.parse("embed, 0.1").complement_in(graph, bench.passed, LOGITS)
        assert ("pos" in map(str, rest)) == inside
