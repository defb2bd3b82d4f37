"""Metrics: a number for each (output, reference row). Logits may be a transformer's or a graph's own vector.

`loss` and `kl` are in nats, lower is better; a tuple of tokens sums their probabilities. Labels, other
arguments and the model's own answer always come from the reference row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from attrs import evolve, frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.claims.dataset import Dataset, Row
from scrub.claims.metric import AnyMetric, Metric, NamedMetric
from scrub.claims.problems import at_line
from scrub.claims.setting import token_ids
from scrub.claims.text import Tokenizer
from scrub.claims.values import read_only
from scrub.errors import MetricError, some

Numbers = Float[np.ndarray, " n"]
LARGEST = 1e100  # a metric beyond it overflows where differences are squared and summed


@frozen(eq=False)
class Arguments:
    """The tokens of a metric's columns in every row: `ids[column]` is `[row, k]`, false in `there` is padding."""

    ids: tuple[Int[Tensor, "row k"], ...]
    there: tuple[Bool[Tensor, "row k"], ...]

    @classmethod
    def of(cls, metric: AnyMetric, data: Dataset, tokenizer: Tokenizer | None, device: torch.device) -> Arguments:
        tables = [_table(token_ids(data, name, tokenizer), device) for name in metric.columns]
        return cls(tuple(t[0] for t in tables), tuple(t[1] for t in tables))

    def needed(self, rows: Int[Tensor, " n"]) -> Int[Tensor, "n k"]:
        """The vocabulary columns that the metric reads for each row."""
        return torch.cat([ids[rows] for ids in self.ids], dim=1)


def _table(found: list[tuple[int, ...]], device: torch.device) -> tuple[Tensor, Tensor]:
    found = [tuple(dict.fromkeys(row)) for row in found]  # the probability of a token counts once
    width = max(map(len, found))
    ids = torch.tensor([(*row, *([row[0]] * (width - len(row)))) for row in found], device=device)
    there = torch.tensor([[i < len(row) for i in range(width)] for row in found], device=device)
    return ids, there


def reads_few_tokens(metric: AnyMetric) -> bool:
    """Whether a metric needs the logits of its arguments alone."""
    return isinstance(metric, NamedMetric) and metric.kind == "logit_diff"


def on_few(arguments: Arguments, rows: Int[Tensor, " n"], logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """`logit_diff` from the logits of `arguments.needed(rows)`."""
    width = arguments.ids[0].shape[1]
    first = _log_sum(logits[:, :width], arguments.there[0][rows])
    return first - _log_sum(logits[:, width:], arguments.there[1][rows])


def on_logits(
    kind: str,
    arguments: Arguments,
    rows: Int[Tensor, " n"],
    logits: Float[Tensor, "n v"],
    own: Float[Tensor, "n v"] | None,
) -> Float[Tensor, " n"]:
    """A built-in metric of full logits; `own` are the model's logits on the rows, for `kl`."""
    if kind == "kl":
        assert own is not None
        p, q = own.log_softmax(-1), logits.log_softmax(-1)
        return torch.where(p.exp() > 0, p.exp() * (p - q), torch.zeros_like(p)).sum(-1)
    if kind == "accuracy":
        hit = logits.argmax(-1, keepdim=True) == arguments.ids[0][rows]
        right = (hit & arguments.there[0][rows]).any(-1).to(logits.dtype)
        return right.masked_fill(logits.isnan().any(-1), torch.nan)  # argmax would take NaN for the largest
    taken = [
        _log_sum(logits.gather(1, ids[rows]), there[rows])
        for ids, there in zip(arguments.ids, arguments.there, strict=True)
    ]
    if kind == "logit_diff":
        return taken[0] - taken[1]
    total = logits.logsumexp(-1)
    if kind == "loss":
        return total - taken[0]
    assert kind == "prob_diff", kind
    return (taken[0] - total).exp() - (taken[1] - total).exp()


def _log_sum(values: Float[Tensor, "n k"], there: Bool[Tensor, "n k"]) -> Float[Tensor, " n"]:
    return values.masked_fill(~there, -torch.inf).logsumexp(-1)


def apply(metric: Metric, outputs: Iterable[Any], rows: Sequence[Any]) -> Numbers:
    """A metric of one's own on outputs and rows. Raises MetricError where it is no number, or changes its row."""
    found: list[float] = []
    lent: dict[int, _Lent] = {}
    for output, row in zip(outputs, rows, strict=True):
        given = lent[id(row)] if id(row) in lent else lent.setdefault(id(row), _Lent.of(row))
        try:
            found.append(float(metric.function(read_only(output), given.copy)))
        except Exception as error:
            raise MetricError(f"metric {metric} raised {type(error).__name__}: {error}{at_line(error)}") from error
        if changed := given.changed():
            raise MetricError(
                f"metric {metric} changes its row, which other calls read: {some(changed)}. "
                "Let it work on a copy, dict(row.columns)."
            )
    return np.array(found, dtype=np.float64)


@frozen(eq=False)
class _Lent:
    """A row as a metric may have it: a copy, so that whatever is done to it, the data stay as they are."""

    row: Any
    values: dict[str, Any]
    copy: Any

    @classmethod
    def of(cls, row: Any) -> _Lent:
        if not isinstance(row, Row):
            return cls(row, {}, row)
        values = {name: read_only(value) for name, value in row.columns.items()}
        return cls(row, values, evolve(row, columns=dict(values), positions=dict(row.positions)))

    def changed(self) -> list[str]:
        """The columns, and the positions, that are not as they were lent."""
        if self.copy is self.row:
            return []
        now: dict[str, Any] = self.copy.columns
        changed = [
            f"column {name!r}"
            for name in {**self.values, **now}
            if name not in self.values or name not in now or now[name] is not self.values[name] or self._within(name)
        ]
        return changed + (["its positions"] if self.copy.positions != self.row.positions else [])

    def _within(self, name: str) -> bool:
        """Whether a list, a dict or a set holds something else; arrays cannot be written to."""
        value = self.values[name]
        return isinstance(value, list | dict | set | bytearray) and value != self.row.columns[name]


def finite(values: Numbers, rows: Int[np.ndarray, " n"], what: str) -> Numbers:
    """The values. Raises MetricError naming the rows where they are NaN or infinite, or beyond `LARGEST`."""
    bad = np.unique(rows[~np.isfinite(values)])
    if bad.size:
        raise MetricError(
            f"the metric is NaN or infinite {what} in rows {some(bad.tolist())}: "
            "a label may have probability 0, or the function divides by 0 there."
        )
    large = np.unique(rows[np.abs(values) > LARGEST])
    if large.size:
        raise MetricError(
            f"the metric is {values[np.abs(values) > LARGEST][0]:.3g} {what} in rows {some(large.tolist())}: numbers "
            f"beyond {LARGEST:g} cannot be squared and summed: divide it."
        )
    return values


def as_logits(outputs: Sequence[Any], metric: NamedMetric) -> Float[Tensor, "n v"]:
    """Outputs of a computation graph as logits. Raises MetricError when they are no vectors of one length."""
    try:
        made = np.stack([np.asarray(output, dtype=np.float64) for output in outputs])
    except (TypeError, ValueError):
        made = np.zeros(0)
    if made.ndim != 2:
        raise MetricError(
            f"metric {metric} reads logits, but the output node gives {outputs[0]!r}: return vectors of one "
            "length, or use Metric(fn, better=...) with fn(output, row) -> float."
        )
    return torch.from_numpy(made)


def check_width(arguments: Arguments, metric: NamedMetric, width: int) -> None:
    """Raises MetricError when an argument of a metric names an entry that a graph's vectors do not have."""
    for name, ids in zip(metric.columns, arguments.ids, strict=True):
        bad = torch.nonzero(((ids < 0) | (ids >= width)).any(-1)).flatten().tolist()
        if bad:
            raise MetricError(
                f"metric {metric}: column {name!r} names no entry of the output node's {width} logits in rows "
                f"{some(bad)}; entries are numbered from 0."
            )
