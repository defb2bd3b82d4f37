"""What is measured, as the author wrote it: `"logit_diff(io, s1)"`, or a function of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import frozen

from scrub.claims.wording import METRICS, Wording
from scrub.errors import MetricError, did_you_mean

_CALL = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_ARGUMENT = re.compile(r"(?:(\w+)\s*\(\s*)?([^(),\s]+)(?(1)\s*\))")
REDUCTIONS = ("mean", "max")  # of the logits of several tokens; without one, the log of their summed exponentials
_SEQUENCES = ("sequence_loss", "sequence_logprob", "sequence_log_prob")


@frozen
class Metric:
    """A metric of one's own: `Metric(fn, better="higher")` with `fn(output, row) -> float`.

    `output` is the vector of logits (numpy) of a transformer, or the value of a graph's output node; `row` is
    the reference row (`row.columns`, `row.tokens`). With `torch=True` it is a tensor of logits `[v]`, and what `fn`
    returns is one of no axes, computed from it by torch: `propose` follows its gradient.
    """

    function: Callable[[Any, Any], Any]
    better: str = "higher"
    name: str = ""
    torch: bool = False

    def __attrs_post_init__(self) -> None:
        if not callable(self.function):
            raise MetricError(f"Metric(fn): {self.function!r} is not a function fn(output, row) -> float.")
        if self.better not in ("higher", "lower"):
            raise MetricError(f"Metric(better={self.better!r}): say 'higher' or 'lower'.")

        if not isinstance(self.torch, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MetricError(f"Metric(torch={self.torch!r}): say True for a function of torch's tensors, or False.")

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    def __str__(self) -> str:
        return self.name or getattr(self.function, "__name__", "metric")


@frozen
class NamedMetric:
    """A built-in metric and the columns that are its arguments.

    `reductions` says of each column how the logits of its several tokens are one number, in the words of
    `REDUCTIONS`; "" or nothing for the log of their summed exponentials.
    """

    kind: str
    columns: tuple[str, ...]
    reductions: tuple[str, ...] = ()

    @property
    def words(self) -> Wording:
        return METRICS.said(self.kind)

    @property
    def better(self) -> str:
        return self.words.better

    def __str__(self) -> str:
        words = self.reductions or ("",) * len(self.columns)
        told = [f"{how}({name})" if how else name for how, name in zip(words, self.columns, strict=True)]
        return f"{self.kind}({', '.join(told)})" if told else self.kind


AnyMetric = Metric | NamedMetric


def parse_metric(metric: str | Metric | NamedMetric) -> AnyMetric:
    """The metric that a claim names. Raises MetricError for an unknown one or a wrong number of columns."""
    if not isinstance(metric, str):
        if isinstance(metric, Metric | NamedMetric):  # pyright: ignore[reportUnnecessaryIsInstance]
            return metric
        if callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
            raise MetricError(f"metric={name} is a function alone: write metric=Metric({name}, better='higher').")
        raise MetricError(f"metric={metric!r}: write 'logit_diff(io, s1)' or Metric(fn, better='higher').")
    match = _CALL.fullmatch(metric)
    name = match[1] if match else metric
    if name in _SEQUENCES:
        raise MetricError(_of_sequences(metric))
    if match is None or name not in METRICS.names():
        known = ", ".join(str(NamedMetric(name, METRICS.said(name).columns)) for name in METRICS.names())
        raise MetricError(
            f"metric {metric!r} is unknown.{did_you_mean(name, METRICS.names())} Known: {known}; "
            "or Metric(fn, better='higher')."
        )
    return _called(metric, name, match[2] or "")


def _called(metric: str, name: str, arguments: str) -> NamedMetric:
    found = _ARGUMENT.findall(arguments)
    if _ARGUMENT.sub("", arguments).replace(",", "").strip():
        raise MetricError(f"metric {metric!r} is unknown: write it with columns, {name}(a, b) or {name}(mean(a), b).")
    wanted = METRICS.said(name)
    if len(found) != len(wanted.columns):
        takes = f"{len(wanted.columns)} column{'' if len(wanted.columns) == 1 else 's'}"
        raise MetricError(
            f"metric {metric!r}: {name} takes {takes} of the data, found {len(found)}: write "
            f"{NamedMetric(name, wanted.columns)} with names of yours."
        )
    words = tuple(how for how, _ in found)
    if strange := [how for how in words if how and (how not in REDUCTIONS or not wanted.reduces)]:
        known = f"known are {', '.join(REDUCTIONS)}" if wanted.reduces else f"{name} takes plain columns"
        raise MetricError(f"metric {metric!r}: {strange[0]}(...) is not read there; {known}.")
    return NamedMetric(name, tuple(column for _, column in found), words if any(words) else ())


def _of_sequences(metric: str) -> str:
    return (
        f"metric {metric!r}: an answer of several tokens is read at as many positions, each with the answer's tokens "
        "before it given, and in a swap those would be another row's. Give a row for each token of the answer, the "
        "tokens before it behind the prompt, and measure loss(label) with within='token', its number in the answer: "
        "the loss of an answer is the sum over its rows. docs/metrics.md shows it, and says why."
    )


def predicted(metric: AnyMetric, predicts: str | None) -> str | None:
    """The column that the story's answer should equal: `predicts=`, else the metric's first argument."""
    return predicts or (metric.columns[0] if metric.columns else None)
