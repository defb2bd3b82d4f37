"""A metric of one's own on outputs and rows, and the numbers that no metric may give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from attrs import evolve, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.claims.dataset import Row
from scrub.claims.metric import Metric
from scrub.claims.problems import at_line
from scrub.claims.values import read_only
from scrub.errors import MetricError, some

Numbers = Float[np.ndarray, " n"]
LARGEST = 1e100  # a metric beyond it overflows where differences are squared and summed


def apply(metric: Metric, outputs: Iterable[Any], rows: Sequence[Any]) -> Numbers:
    """A metric of one's own on outputs and rows. Raises MetricError where it is no number, or changes its row."""
    given = (_tensor(metric, output) if metric.torch else read_only(output) for output in outputs)
    return np.array([_number(metric, value) for value in _values(metric, given, rows)], dtype=np.float64)


def _tensor(metric: Metric, output: Any) -> Tensor:
    try:
        return torch.tensor(np.asarray(output, dtype=np.float64))
    except (TypeError, ValueError):
        raise MetricError(
            f"metric {metric} takes tensors (torch=True), and the output node gives {output!r:.40}: return a "
            "vector of numbers, or leave torch=True out."
        ) from None


def differentiable(metric: Metric, logits: Float[Tensor, "n v"], rows: Sequence[Any]) -> Float[Tensor, " n"]:
    """A metric of torch's tensors on logits and rows, with its graph. Raises MetricError where it is none."""
    found = list(_values(metric, logits.unbind(0), rows))
    for value in found:
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
            shown = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.40}"
            raise MetricError(f"metric {metric} returned {shown}: let it return a tensor of one number (torch=True).")
        if logits.requires_grad and not value.requires_grad:
            raise MetricError(
                f"metric {metric} has lost its gradient: with torch=True, compute what it returns from the logits by "
                "torch alone, without .item(), .detach() or numpy."
            )
    return torch.stack([value.reshape(()) for value in found]) if found else logits.new_zeros(0)


def _values(metric: Metric, outputs: Iterable[Any], rows: Sequence[Any]) -> Iterator[Any]:
    """What a metric returns for outputs and rows. Raises MetricError where it fails, or changes its row."""
    lent: dict[int, _Lent] = {}
    for output, row in zip(outputs, rows, strict=True):
        given = lent[id(row)] if id(row) in lent else lent.setdefault(id(row), _Lent.of(row))
        try:
            yield metric.function(output, given.copy)
        except Exception as error:
            raise MetricError(f"metric {metric} raised {type(error).__name__}: {error}{at_line(error)}") from error
        if changed := given.changed():
            raise MetricError(
                f"metric {metric} changes its row, which other calls read: {some(changed)}. "
                "Let it work on a copy, dict(row.columns)."
            )


def _number(metric: Metric, value: Any) -> float:
    """What a metric returned. Raises MetricError where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        words = f"{value!r:.40}" if value is None or isinstance(value, str | int) else f"a {type(value).__name__}"
        raise MetricError(
            f"metric {metric} returned {words}: let it return a number, fn(output, row) -> float."
        ) from None


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
