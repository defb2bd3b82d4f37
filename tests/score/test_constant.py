"""The best answer that ignores its input, against brute force; every kind of candidate is the best somewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax

import scrub
from score.cases import (
    bench_of,
    claim_of,
    graph,
    resolved,
    rows_of,
    sum_claim,
    tiny_transformer,
    token_claim,
    token_rows,
    transformer_bench,
)
from scrub import Metric, recovers
from scrub.claims.dataset import Dataset
from scrub.score import constant
from scrub.score.constant import best_constant

COLUMNS = ("l0", "l1", "l2")


def table(vectors: list[list[float]], labels: list[Any], **more: list[Any]) -> Dataset:
    """Rows whose model answers with the vector that the columns hold."""
    extra = [dict(zip(more, values, strict=True)) for values in zip(*more.values(), strict=True)]
    return rows_of(
        dict(zip(COLUMNS, vector, strict=True)) | {"label": label, "kind": 0} | (extra[i] if extra else {})
        for i, (vector, label) in enumerate(zip(vectors, labels, strict=True))
    )


MODEL = graph(out=lambda l0, l1, l2: np.array([l0, l1, l2]))


def nothing_matters(data: Dataset, metric: Any, **options: Any) -> Any:
    return claim_of(MODEL, {"answer": lambda: 0}, {"answer": "out"}, data, metric=metric, **options)


def best(data: Dataset, metric: Any, **options: Any) -> float:
    bench = bench_of(nothing_matters(data, metric, **options))
    found = best_constant(bench.claim, bench.measured, np.flatnonzero(bench.claim.scored))
    assert found is not None
    return found.value


def best_value(bench: Any, rows: int) -> float:
    found = best_constant(bench.claim, bench.measured, np.arange(rows))
    assert found is not None
    return found.value


def scores(kind: str, candidates: np.ndarray, labels: list[int], other: list[int]) -> np.ndarray:
    """The mean metric of each candidate, by hand."""
    log_p = log_softmax(candidates, axis=1)
    return {
        "loss": -log_p[:, labels].mean(1),
        "accuracy": (candidates.argmax(1)[:, None] == np.array(labels)).mean(1),
        "logit_diff": (candidates[:, labels] - candidates[:, other]).mean(1),
        "prob_diff": (np.exp(log_p)[:, labels] - np.exp(log_p)[:, other]).mean(1),
    }[kind]


def candidates(vectors: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "own": vectors,
        "mean logits": vectors.mean(0)[None],
        "mean probabilities": np.log(softmax(vectors, axis=1).mean(0))[None],
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("kind", "better"), [("loss", min), ("accuracy", max), ("logit_diff", max), ("prob_diff", max)]
)
def test_the_best_candidate_by_brute_force(kind: str, better: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, labels = rng.normal(0, 2, (70, 3)), rng.integers(0, 3, 70).tolist()  # more rows than one batch
    other = [(label + 1) % 3 for label in labels]
    metric = f"{kind}(label)" if kind in ("loss", "accuracy") else f"{kind}(label, other)"
    tried = np.concatenate(list(candidates(vectors).values()))
    found = scores(kind, tried, labels, other).tolist()
    if kind in ("loss", "accuracy"):
        frequencies = np.log(np.bincount(labels, minlength=3) / 70)[None]
        found += scores(kind, frequencies, labels, other).tolist()
    assert best(table(vectors.tolist(), labels, other=other), metric) == pytest.approx(better(found), rel=1e-12)


def test_the_label_frequencies_win_where_no_answer_shows_them() -> None:
    """A sharp model, right in all rows: its own answers are certain; 3/4 and 1/4 are what is best."""
    labels = [0, 0, 0, 1] * 3
    vectors = [[9.0, 0, 0] if label == 0 else [0, 9.0, 0] for label in labels]
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    wrong = table([[0, 0, 9.0]] * 12, labels)
    assert best(wrong, "loss(label)") == pytest.approx(entropy, rel=1e-12)
    assert best(table(vectors, labels), "loss(label)") == pytest.approx(entropy, rel=1e-12)


def test_the_label_frequencies_win_for_accuracy_of_a_model_that_is_never_right() -> None:
    assert best(table([[0, 0, 9.0]] * 12, [0, 0, 1] * 4), "accuracy(label)") == pytest.approx(2 / 3)


def test_frequencies_of_tuples_share_their_rows_count() -> None:
    labels = [(0, 1), (0, 1), 2, 2]
    assert best(table([[0, 9.0, -9.0]] * 4, labels), "loss(label)") == pytest.approx(np.log(2), rel=1e-12)


def test_frequencies_are_those_of_the_scored_rows() -> None:
    data = table([[0, 0, 9.0]] * 8, [0, 1, 1, 1, 1, 1, 1, 1], scored=[True] * 2 + [False] * 6)
    assert best(data, "loss(label)", scored="scored") == pytest.approx(np.log(2), rel=1e-12)


POLES = [[3.0, 0, 0]] * 5 + [[0, 3.0, 0]] * 5
MIDDLE = np.log(softmax(POLES, axis=1).mean(0)).tolist()


@pytest.mark.parametrize(
    ("kind", "asked", "others"),
    [
        ("own", POLES, [MIDDLE, *[[0, 0, 90.0]] * 6]),  # one row of the pool answers what is best
        ("mean logits", POLES, [[0, 0, 20.0], [0, 0, -20.0]] * 4),  # whose probabilities do not balance
        ("mean probabilities", [*POLES, *[[0, 0, 3.0]] * 5, *[[0, 0, 3.0]] * 5], []),
    ],
)
def test_each_kind_of_candidate_is_the_best_of_some_claim(kind: str, asked: list[Any], others: list[Any]) -> None:
    """`kl` has no label frequencies; the pool may hold rows that are not scored."""
    vectors = np.array([*asked, *others])
    log_p = log_softmax(np.array(asked), axis=1)

    def score(tried: np.ndarray) -> float:
        return min(np.mean([(np.exp(p) * (p - q)).sum() for p in log_p]) for q in log_softmax(tried, axis=1))

    found = {name: score(tried) for name, tried in candidates(vectors).items()}
    scored = [True] * len(asked) + [False] * len(others)
    got = best(table(vectors.tolist(), [0] * len(vectors), scored=scored), "kl", scored="scored")
    assert got == pytest.approx(found[kind], rel=1e-9)
    assert sorted(found.values())[1] > got + 1e-3


def test_the_mean_logits_win_for_a_metric_of_ones_own() -> None:
    near = Metric(lambda output, row: -float(((output - row.columns["l0"]) ** 2).sum()), name="near")
    vectors = [[float(i)] * 3 for i in (0, 1, 2, 9)]
    by_hand = -3 * np.mean([(3 - i) ** 2 for i in (0, 1, 2, 9)])
    assert best(table(vectors, [0] * 4), near) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "better"), [("loss", min), ("accuracy", max), ("logit_diff", max), ("prob_diff", max)]
)
def test_on_a_transformer(kind: str, better: Any) -> None:
    data = token_rows(16)
    metric = f"{kind}(first)" if kind in ("loss", "accuracy") else f"{kind}(first, second)"
    bench = transformer_bench(token_claim(tiny_transformer(), data, metric=metric))
    logits = bench.measured.answers(np.arange(16)).numpy()
    first, second = ([row.columns[name] for row in data.rows] for name in ("first", "second"))
    tried = [*candidates(logits).values()]
    if kind in ("loss", "accuracy"):
        tried.append(np.log(np.bincount(first, minlength=9) / 16 + 1e-300)[None])
    found = scores(kind, np.concatenate(tried), first, second)
    assert best_value(bench, 16) == pytest.approx(better(found), rel=1e-9)


def test_a_metric_of_ones_own_on_a_transformer_tries_the_same_answers() -> None:
    own = Metric(lambda output, row: -log_softmax(output)[row.columns["first"]], better="lower")
    bench = transformer_bench(token_claim(tiny_transformer(), token_rows(70), metric=own))
    logits = bench.measured.answers(np.arange(70)).numpy()
    first = [row.columns["first"] for row in bench.claim.data.rows]
    found = scores("loss", np.concatenate(list(candidates(logits).values())), first, first)
    assert best_value(bench, 70) == pytest.approx(min(found), rel=1e-9)


def test_the_constant_of_kl_is_a_mean_over_rows() -> None:
    """Mean probabilities and mean entropy are enough, and give what a loop over rows gives."""
    vectors = np.random.default_rng(3).normal(0, 3, (90, 3))
    log_p = log_softmax(vectors, axis=1)
    tried = np.concatenate(list(candidates(vectors).values()))
    loop = min(
        np.mean([(np.exp(p) * (p - q)).sum() for p in log_p]) for q in tried - logsumexp(tried, axis=1)[:, None]
    )
    assert best(table(vectors.tolist(), [0] * 90), "kl") == pytest.approx(loop, rel=1e-12)


def test_a_constant_answer_beats_a_claim_on_unbalanced_labels() -> None:
    """As in the brackets: three in four are `no`, so that saying so recovers most of the loss of a random row."""
    data = rows_of({"x": i % 4, "label": int(i % 4 == 0)} for i in range(40))
    model = graph(out=lambda x: np.array([0.0, 4.0]) if x == 0 else np.array([4.0, 0.0]))
    claim = claim_of(model, {"answer": lambda x: int(x == 0)}, {"x": "x", "answer": "out"}, data,
                     metric="loss(label)", expect=scrub.recovers(0.5))  # fmt: skip
    result = scrub.test(claim, draws=10)
    right, wrong = np.log1p(np.exp(-4)), np.log1p(np.exp(4))
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert result.metric.model == pytest.approx(right, rel=1e-9)
    random = result.metric.random
    assert random == pytest.approx(0.625 * right + 0.375 * wrong, rel=0.2)
    assert result.constant == pytest.approx((random - entropy) / (random - right), rel=1e-9)
    assert result.constant is not None
    assert result.constant > 0.5
    assert result.bar == result.constant
    assert "the best constant answer recovers" in result.reason


def test_graph_answers_that_are_numbers() -> None:
    """|out - label| over 0..11 is least for an answer in the middle: the mean, 5.5, and its neighbours tie."""
    data = rows_of({"x": x, "label": x} for x in range(12))
    claim = claim_of(graph(out=lambda x: x), {"answer": lambda x: x}, {"x": "x", "answer": "out"}, data,
                     metric=Metric(lambda o, row: (o - row.columns["label"]) ** 2, better="lower"))  # fmt: skip
    bench = bench_of(claim)
    assert best_value(bench, 12) == pytest.approx((12**2 - 1) / 12)


def test_answers_that_have_no_mean_are_tried_alone() -> None:
    data = rows_of({"x": x, "label": x} for x in "aab")
    same = Metric(lambda output, row: float(output == row.columns["label"]))
    claim = claim_of(graph(out=lambda x: x), {"answer": lambda x: x}, {"x": "x", "answer": "out"}, data, metric=same)
    bench = bench_of(claim)
    assert best_value(bench, 3) == pytest.approx(2 / 3)


def test_a_metric_that_cannot_take_the_mean_answer_is_asked_of_the_others() -> None:
    names = {0: "zero", 1: "one"}
    data = rows_of({"x": x, "label": names[x]} for x in (0, 1, 1))
    named = Metric(lambda output, row: float(names[output] == row.columns["label"]))
    claim = claim_of(graph(out=lambda x: x), {"answer": lambda x: x}, {"x": "x", "answer": "out"}, data, metric=named)
    bench = bench_of(claim)
    assert best_value(bench, 3) == pytest.approx(2 / 3)


def test_long_vectors_that_print_alike_are_different_answers() -> None:
    def wide(x: int) -> np.ndarray:
        vector = np.zeros(3000)
        vector[1500] = x  # repr() leaves the middle out
        return vector

    hit = Metric(lambda output, row: float(output[1500] == 7))
    data = rows_of({"x": x, "label": 0} for x in (1, 2, 7))
    claim = claim_of(graph(out=wide), {"answer": lambda x: x}, {"x": "x", "answer": "out"}, data, metric=hit)
    bench = bench_of(claim)
    assert best_value(bench, 3) == 1.0


def test_many_rows_are_tried_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    counted = Metric(lambda output, row: calls.append(output) or 0.0, better="lower")
    bench = bench_of(sum_claim(metric=counted))
    best_constant(bench.claim, bench.measured, np.arange(12))
    assert len(calls) == 13 * 12  # twelve answers and their mean
    calls.clear()
    monkeypatch.setattr(constant, "OWN_CALLS", 48)
    best_constant(bench.claim, bench.measured, np.arange(12))
    assert len(calls) == 5 * 12


def test_no_constant_where_none_has_a_number() -> None:
    claim = nothing_matters(table([[1.0, 0, 0]] * 3, [0] * 3), Metric(lambda output, row: np.nan))
    bench = bench_of(claim)
    assert best_constant(resolved(claim), bench.measured, np.arange(3)) is None


@pytest.mark.parametrize(
    ("shared", "fix"), [(24, "Balance the labels"), (16, "Expect more than an answer that ignores its input")]
)
def test_the_constant_that_decides_the_bar_says_which_answer_it_is(shared: int, fix: str) -> None:
    """And how many rows share its label; what to do depends on whether most of them do."""
    labels = [0] * shared + [1 + i % 2 for i in range(36 - shared)]
    vectors = [[9.0 * (label == i) for i in range(3)] for label in labels]
    result = scrub.test(nothing_matters(table(vectors, labels), "accuracy(label)", expect=recovers(0.1)), draws=4)
    assert result.constant is not None
    assert result.constant > 0.1
    (found,) = [w for w in result.warnings if "decides the bar" in w]
    said = f"label 0, which {shared} of the 36 scored rows ({shared / 36:.0%}) share. {fix}"
    assert found.startswith(
        f"the best constant answer decides the bar, {result.constant:.2f}: it is the model's answer"
    )
    assert said in found
    row = int(found.split(" on row ")[1].split(",")[0])
    assert labels[row] == 0
    above = scrub.test(nothing_matters(table(vectors, labels), "accuracy(label)", expect=recovers(1)), draws=4)
    assert not [w for w in above.warnings if "decides the bar" in w]  # the expectation is higher


def test_a_constant_of_a_metric_of_ones_own_says_whose_answer_it_is() -> None:
    """The first row that gives it; and where no row does, that it is a mean."""
    vectors = [[0.0, 1, 2], [5.0, 0, 0], [5.0, 0, 0], [0.0, 4, 1]]
    bench = bench_of(nothing_matters(table(vectors, [0] * 4), Metric(lambda output, row: float(output[0]))))
    found = best_constant(bench.claim, bench.measured, np.arange(4))
    assert found is not None
    assert (found.value, found.row) == (5.0, 1)
    middle = bench_of(nothing_matters(table(vectors, [0] * 4), Metric(lambda o, row: -abs(float(o[0]) - 2.5))))
    mean = best_constant(middle.claim, middle.measured, np.arange(4))
    assert mean is not None
    assert (mean.value, mean.row) == (0.0, None)


def test_a_loss_that_a_constant_nearly_has_is_told_with_what_to_measure_instead() -> None:
    labels = [i % 3 for i in range(30)]
    sure = table([[60.0 * (label == i) for i in range(3)] for label in labels], labels)
    (told,) = [w for w in scrub.test(nothing_matters(sure, "loss(label)"), draws=4).warnings if "under loss" in w]
    assert "measure logit_diff(right, wrong), or accuracy" in told
    assert not [w for w in scrub.test(nothing_matters(sure, "accuracy(label)"), draws=4).warnings if "under" in w]
    unsure = table([[2.0 * (label == i) for i in range(3)] for label in labels], labels)
    assert not [w for w in scrub.test(nothing_matters(unsure, "loss(label)"), draws=4).warnings if "under loss" in w]
