"""Metrics against closed forms: tokens and tuples of them, KL by hand, the whole vocabulary, no number refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import scrub
from score.cases import claim_of, graph, rows_of, tiny_transformer, token_claim, token_rows, transformer_bench
from scrub import nodes
from scrub.claims.dataset import Dataset, Row
from scrub.claims.metric import Metric, NamedMetric, parse_metric
from scrub.claims.text import words
from scrub.errors import DataError, MetricError
from scrub.metrics import Against, Arguments, Formula, as_logits, check_width, find
from scrub.model.layers import unembed
from scrub.score.metrics import apply, finite

CPU = torch.device("cpu")
LOGITS = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.0, 3.0, 1.0, 5.0]], dtype=torch.float64)
PROBS = (LOGITS.exp() / LOGITS.exp().sum(1, keepdim=True)).tolist()
ROWS = torch.tensor([0, 1])


def arguments(metric: str, **columns: list[Any]) -> Arguments:
    data = rows_of(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return Arguments.of(parse_metric(metric), data, None, CPU)


def values(metric: str, logits: torch.Tensor = LOGITS, **columns: list[Any]) -> list[float]:
    return formula(metric).on_logits(logits, arguments(metric, **columns).at(ROWS)).tolist()


def formula(metric: str) -> Formula:
    named = parse_metric(metric)
    assert isinstance(named, NamedMetric)
    return find(named)


def test_loss_is_minus_log_probability_in_nats() -> None:
    expected = [-math.log(PROBS[0][2]), -math.log(PROBS[1][3])]
    assert values("loss(a)", a=[2, 3]) == pytest.approx(expected, rel=1e-12)


def test_loss_of_a_tuple_sums_probabilities() -> None:
    expected = [-math.log(PROBS[0][0] + PROBS[0][2]), -math.log(PROBS[1][3])]
    assert values("loss(a)", a=[(0, 2), 3]) == pytest.approx(expected, rel=1e-12)


def test_a_token_named_twice_counts_once() -> None:
    assert values("loss(a)", a=[(1, 1), 1]) == pytest.approx(values("loss(a)", a=[1, 1]))


def test_logit_diff_of_tuples_is_a_difference_of_logsumexps() -> None:
    got = values("logit_diff(a, b)", a=[(0, 1), 3], b=[3, (0, 1, 2)])
    expected = [math.log(math.e + math.e**2) + 1, 5 - math.log(1 + math.e**3 + math.e)]
    assert got == pytest.approx(expected, rel=1e-12)


def test_logit_diff_needs_the_logits_of_its_tokens_alone() -> None:
    made = arguments("logit_diff(a, b)", a=[(0, 1), 3], b=[3, (0, 1, 2)])
    against = made.at(ROWS)
    few = LOGITS.gather(1, against.needed)
    assert formula("logit_diff(a, b)").on_few(few, against).tolist() == values(
        "logit_diff(a, b)", a=[(0, 1), 3], b=[3, (0, 1, 2)]
    )


def test_prob_diff_sums_probabilities_on_both_sides() -> None:
    got = values("prob_diff(a, b)", a=[(0, 1), 3], b=[3, (0, 1, 2)])
    expected = [PROBS[0][0] + PROBS[0][1] - PROBS[0][3], PROBS[1][3] - sum(PROBS[1][:3])]
    assert got == pytest.approx(expected, rel=1e-12)


def test_accuracy_is_the_argmax_over_the_whole_vocabulary() -> None:
    # row 1: 1 beats 2 and 0, the only tokens that any label names, but 3 is the largest
    assert values("accuracy(a)", a=[1, 1]) == [1.0, 0.0]
    assert values("accuracy(a)", a=[(0, 2), (0, 3)]) == [0.0, 1.0]


def test_accuracy_of_no_numbers_is_no_number() -> None:
    broken = LOGITS.clone()
    broken[1, 3] = torch.nan  # argmax takes it for the largest
    assert values("accuracy(a)", broken, a=[1, 3])[0] == 1.0
    assert math.isnan(values("accuracy(a)", broken, a=[1, 3])[1])


def kl(model: list[float], scrubbed: list[float]) -> float:
    p, q = (torch.tensor([x], dtype=torch.float64).log() for x in (model, scrubbed))
    return formula("kl").on_logits(q + 7, Against((), (), p - 3)).item()  # logits have no zero point


def test_kl_runs_from_the_model_to_the_scrubbed_answer() -> None:
    p, q = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]
    assert kl(p, q) == pytest.approx(0.5 * math.log(2) + 0.25 * math.log(0.5), rel=1e-12)
    assert kl([0.5, 0.5, 0.0], [0.25, 0.25, 0.5]) == pytest.approx(math.log(2), rel=1e-12)
    assert kl([0.25, 0.25, 0.5], [0.5, 0.5, 0.0]) == math.inf
    assert kl(p, p) == pytest.approx(0, abs=1e-12)


def test_strings_that_are_one_token() -> None:
    vocabulary = ["<unknown>", "he", "she"]
    data = rows_of([{"a": "she"}, {"a": ("he", 0)}])
    made = Arguments.of(parse_metric("loss(a)"), data, words(vocabulary), CPU)
    assert made.ids[0].tolist() == [[2, 2], [1, 0]]
    assert made.there[0].tolist() == [[True, False], [True, True]]
    with pytest.raises(DataError, match=r"row 1: 'it'"):
        Arguments.of(parse_metric("loss(a)"), rows_of([{"a": "she"}, {"a": "it"}]), words(vocabulary), CPU)


def test_a_string_without_a_tokenizer_and_an_empty_tuple_are_refused() -> None:
    with pytest.raises(DataError, match="row 0: 'she'"):
        arguments("loss(a)", a=["she"])
    with pytest.raises(DataError, match=r"row 1: \(\)"):
        arguments("loss(a)", a=[1, ()])


def test_a_missing_argument_is_an_error_that_names_the_rows() -> None:
    data = [{"x": i, "label": 0 if i % 2 else None} for i in range(6)]
    model = graph(out=lambda x: np.array([x, 0.0]))
    checked = scrub.check(claim_of(model, {"answer": lambda x: x}, {"x": "x", "answer": "out"}, rows_of(data),
                                   metric="loss(label)"))  # fmt: skip
    assert "column 'label' has no value in rows 0, 2, 4" in str(checked)


def test_what_is_no_number_is_refused_with_its_rows() -> None:
    scores, rows = np.array([0.0, np.nan, 1.0, np.inf, np.nan]), np.array([4, 7, 4, 2, 7])
    with pytest.raises(MetricError, match="NaN or infinite for the model in rows 2, 7:"):
        finite(scores, rows, "for the model")
    assert finite(scores[[0, 2]], rows[[0, 2]], "") is not None


def test_a_metric_that_divides_by_zero_in_one_row() -> None:
    odd = Metric(lambda output, row: output / row.columns["x"] if row.columns["x"] != 3 else np.nan, name="odd")
    data = rows_of({"x": x, "label": x} for x in range(1, 12))
    claim = claim_of(graph(out=lambda x: x), {"answer": lambda x: x}, {"x": "x", "answer": "out"}, data, metric=odd)
    with pytest.raises(MetricError, match="for the scrubbed model in rows 2:"):
        scrub.test(claim, draws=2)


def test_ones_own_metric_that_raises_is_named() -> None:
    with pytest.raises(MetricError, match="metric mine raised KeyError: 'nothing'"):
        apply(Metric(lambda output, row: {}["nothing"], name="mine"), [1], [None])
    with pytest.raises(MetricError, match="metric mine returned None: let it return a number"):
        apply(Metric(lambda output, row: None, name="mine"), [1], [None])
    with pytest.raises(MetricError, match="read-only"):  # the model's answers are kept, and scored again
        apply(Metric(lambda output, row: output.sort(), name="mine"), [np.zeros(2)], [None])


@pytest.mark.parametrize("outputs", [[1.0, 2.0], [[1.0, 2.0], [1.0]], ["ab", "cd"], [None], [{}], [[[1.0]]]])
def test_graph_outputs_that_are_no_logits_are_refused(outputs: list[Any]) -> None:
    with pytest.raises(MetricError, match=r"loss\(a\) reads logits, but the output node gives"):
        as_logits(outputs, NamedMetric("loss", ("a",)))


@pytest.mark.parametrize("label", [3, -1, (0, 9)])
def test_labels_beyond_a_graphs_vector_are_refused_with_their_rows(label: Any) -> None:
    made = arguments("loss(a)", a=[2, label])
    with pytest.raises(MetricError, match=r"column 'a' names no entry of the output node's 3 logits in rows 1;"):
        check_width(made, NamedMetric("loss", ("a",)), 3)


VECTORS = graph(out=lambda x, y: (float(x), float(y), 1.0))


def vector_rows() -> Dataset:
    return rows_of({"x": x, "y": y, "label": x, "other": (x + 1) % 3} for x in range(3) for y in range(4))


@pytest.mark.parametrize("metric", ["loss(label)", "accuracy(label)", "logit_diff(label, other)", "kl"])
def test_built_in_metrics_of_a_graphs_vectors_exactly(metric: str) -> None:
    """Only x is claimed, so y is uniform over 0 to 3 and every mean is a sum by hand."""
    data = vector_rows()
    claim = claim_of(
        VECTORS, {"answer": lambda x: x}, {"x": "x", "answer": nodes("out").reads(x="x")}, data, metric=metric
    )
    result = scrub.test(claim, exact=True)

    def score(row: Any, x: int, y: int) -> float:
        logits, own = (np.array([float(a), float(b), 1.0]) for a, b in ((x, y), (row["x"], row["y"])))
        p, q = (np.exp(v) / np.exp(v).sum() for v in (own, logits))
        return {
            "loss(label)": -np.log(q[row["label"]]),
            "accuracy(label)": float(logits.argmax() == row["label"]),
            "logit_diff(label, other)": logits[row["label"]] - logits[row["other"]],
            "kl": float((p * np.log(p / q)).sum()),
        }[metric]

    rows = [row.columns for row in data.rows]
    model = np.mean([score(r, r["x"], r["y"]) for r in rows])
    scrubbed = np.mean([score(r, r["x"], y) for r in rows for y in range(4)])
    random = np.mean([score(r, d["x"], d["y"]) for r in rows for d in rows])
    got = result.metric
    assert [got.model, got.scrubbed, got.random] == pytest.approx([model, scrubbed, random], abs=1e-12)


def test_ones_own_metric_on_a_transformer_sees_logits_and_the_reference_row() -> None:
    data, model = token_rows(), tiny_transformer()
    seen: list[Any] = []

    def own(output: Any, row: Any) -> float:
        seen.append(output)
        return output[row.columns["first"]] - output[row.columns["second"]]

    mine = scrub.test(token_claim(model, data, metric=Metric(own)), draws=3, dtype="float64", explain=False)
    named = scrub.test(
        token_claim(model, data, metric="logit_diff(first, second)"), draws=3, dtype="float64", explain=False
    )
    assert isinstance(seen[0], np.ndarray)
    assert seen[0].shape == (model.shape.d_vocab,)
    for side in ("model", "scrubbed", "random"):
        assert getattr(mine.metric, side) == pytest.approx(getattr(named.metric, side), abs=1e-12)
    assert mine.metric.name == "own"


@pytest.mark.parametrize("metric", ["loss(several)", "kl", "prob_diff(first, several)", "accuracy(several)"])
def test_built_in_metrics_of_the_transformer_itself(metric: str) -> None:
    data, model = token_rows(), tiny_transformer()
    bench = transformer_bench(token_claim(model, data, metric=metric))
    rows = [row.columns for row in data.rows]
    p = unembed(model, bench.rows.outputs(np.arange(len(rows)))).softmax(-1).numpy()
    expected = {
        "loss(several)": [-np.log(p[i, list(r["several"])].sum()) for i, r in enumerate(rows)],
        "kl": [0.0] * len(rows),
        "prob_diff(first, several)": [p[i, r["first"]] - p[i, list(r["several"])].sum() for i, r in enumerate(rows)],
        "accuracy(several)": [float(p[i].argmax() in r["several"]) for i, r in enumerate(rows)],
    }[metric]
    assert bench.model_scores(np.arange(len(rows))).tolist() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda row: row.columns.update(label=7), "column 'label'"),
        (lambda row: row.columns.pop("label"), "column 'label'"),
        (lambda row: row.columns.setdefault("new", 1), "column 'new'"),
        (lambda row: row.columns["known"].append(1), "column 'known'"),
        (lambda row: row.positions.update(END=0), "its positions"),
    ],
)
def test_a_metric_that_changes_its_row_is_told_and_the_data_stay(change: Any, named: str) -> None:
    row = Row((), {}, {"label": 1, "known": [2]})
    before = row.digest

    def mine(output: Any, row: Any) -> float:
        change(row)
        return 1.0

    with pytest.raises(MetricError, match=f"metric mine changes its row, which other calls read: {named}\\."):
        apply(Metric(mine), [1, 2], [row, row])
    assert row.digest == before


def test_a_metric_cannot_write_into_an_array_of_its_row() -> None:
    row = Row((), {}, {"x": np.zeros(3)})
    with pytest.raises(MetricError, match="read-only"):
        apply(Metric(lambda output, row: row.columns["x"].__setitem__(0, 1)), [1], [row])
    assert apply(Metric(lambda output, row: output + row.columns["x"].sum()), [1, 2], [row, row]).tolist() == [1, 2]
