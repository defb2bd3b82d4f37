"""What is measured, as the author wrote it: `"logit_diff(io, s1)"`, or a function of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import frozen

from scrub.claims.wording import METRICS, Wording
from scrub.errors import MetricError, did_you_mean

_CALL = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*")


@frozen
class Metric:
    """A metric of one's own: `Metric(fn, better="higher")` with `fn(output, row) -> float`.

    `output` is the vector of logits (numpy) of a transformer, or the value of a graph's output node; `row` is
    the reference row (`row.columns`, `row.tokens`).
    """

    function: Callable[[Any, Any], float]
    better: str = "higher"
    name: str = ""

    def __attrs_post_init__(self) -> None:
        if not callable(self.function):
            raise MetricError(f"Metric(fn): {self.function!r} is not a function fn(output, row) -> float.")
        if self.better not in ("higher", "lower"):
            raise MetricError(f"Metric(better={self.better!r}): say 'higher' or 'lower'.")

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    def __str__(self) -> str:
        return self.name or getattr(self.function, "__name__", "metric")


@frozen
class NamedMetric:
    """A built-in metric and the columns that are its arguments."""

    kind: str
    columns: tuple[str, ...]

    @property
    def words(self) -> Wording:
        return METRICS.said(self.kind)

    @property
    def better(self) -> str:
        return self.words.better

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(self.columns)})" if self.columns else self.kind


AnyMetric = Metric | NamedMetric


def parse_metric(metric: str | Metric | NamedMetric) -> AnyMetric:
    """The metric that a claim names. Raises MetricError for an unknown one or a wrong number of columns."""
    if not isinstance(metric, str):
        if isinstance(metric, Metric | NamedMetric):  # pyright: ignore[reportUnnecessaryIsInstance]
            return metric
        raise MetricError(f"metric={metric!r}: write 'logit_diff(io, s1)' or Metric(fn, better='higher').")
    match = _CALL.fullmatch(metric)
    name = match[1] if match else metric
    if match is None or name not in METRICS.names():
        known = ", ".join(str(NamedMetric(name, METRICS.said(name).columns)) for name in METRICS.names())
        raise MetricError(
            f"metric {metric!r} is unknown.{did_you_mean(name, METRICS.names())} Known: {known}; "
            "or Metric(fn, better='higher')."
        )
    columns = tuple(word for word in (match[2] or "").replace(",", " ").split())
    wanted = len(METRICS.said(name).columns)
    if len(columns) != wanted:
        raise MetricError(f"metric {metric!r}: {name} takes {wanted} columns of the data, found {len(columns)}.")
    return NamedMetric(name, columns)


def predicted(metric: AnyMetric, predicts: str | None) -> str | None:
    """The column that the story's answer should equal: `predicts=`, else the metric's first argument."""
    return predicts or (metric.columns[0] if metric.columns else None)
