"""Metrics as the author writes them."""

from __future__ import annotations

from typing import Any

import pytest

from scrub.claims.metric import Metric, NamedMetric, parse_metric, predicted
from scrub.errors import MetricError


def length(output: Any, row: Any) -> float:
    return float(len(row.tokens))


@pytest.mark.parametrize(
    ("text", "kind", "columns", "better"),
    [
        ("loss(label)", "loss", ("label",), "lower"),
        ("logit_diff(io, s1)", "logit_diff", ("io", "s1"), "higher"),
        (" prob_diff( above upto ) ", "prob_diff", ("above", "upto"), "higher"),
        ("accuracy(y)", "accuracy", ("y",), "higher"),
        ("kl", "kl", (), "lower"),
        ("kl()", "kl", (), "lower"),
        ("logit_diff(mean(io), max( s1 ))", "logit_diff", ("io", "s1"), "higher"),
    ],
)
def test_the_built_in_metrics(text: str, kind: str, columns: tuple[str, ...], better: str) -> None:
    metric = parse_metric(text)
    assert isinstance(metric, NamedMetric)
    assert metric == NamedMetric(kind, columns, ("mean", "max") if "mean" in text else ())
    assert metric.better == better
    assert parse_metric(str(metric)) == metric


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (
            "logit_dif(io, s1)",
            r"metric 'logit_dif\(io, s1\)' is unknown. Did you mean 'logit_diff'.*Known: loss\(label\)",
        ),
        ("", "is unknown"),
        ("loss(a", "is unknown"),
        ("logit_diff(io)", "logit_diff takes 2 columns of the data, found 1"),
        ("loss", r"loss takes 1 column of the data, found 0: write loss\(label\) with names"),
        ("kl(x)", "kl takes 0 columns"),
        ("loss(mean(label))", r"mean\(...\) is not read there; loss takes plain columns"),
        ("logit_diff(median(a), b)", r"median\(...\) is not read there; known are mean, max"),
        ("logit_diff(mean(a, b)", r"is unknown: write it with columns, logit_diff\(a, b\) or"),
        ("sequence_loss(answer)", "a row for each token of the answer.*loss.label."),
        (3, r"metric=3: write 'logit_diff\(io, s1\)' or Metric\(fn"),
    ],
)
def test_wrong_metrics(metric: Any, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        parse_metric(metric)


def test_a_metric_of_ones_own() -> None:
    metric = Metric(length, better="lower")
    assert parse_metric(metric) is metric
    assert (metric.better, metric.columns, str(metric)) == ("lower", (), "length")
    assert str(Metric(length, name="tokens")) == "tokens"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), r"Metric\(fn\): 3 is not a function fn\(output, row\)"),
        ((length, "up"), r"Metric\(better='up'\): say 'higher' or 'lower'"),
    ],
)
def test_wrong_metrics_of_ones_own(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        Metric(*arguments)


def test_what_the_story_should_equal() -> None:
    assert predicted(NamedMetric("logit_diff", ("io", "s1")), None) == "io"
    assert predicted(NamedMetric("logit_diff", ("io", "s1")), "label") == "label"
    assert predicted(NamedMetric("kl", ()), None) is None
    assert predicted(Metric(length), None) is None
