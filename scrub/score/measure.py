"""From outputs to numbers: what a metric says of the answers that the engine gives, for either kind of model.

A `Measured` hides what an output is: a transformer's final stream, or the value of a graph's output node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from attrs import Factory, field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.claims.metric import AnyMetric, Metric, NamedMetric
from scrub.claims.resolved import Claim
from scrub.claims.text import Tokenizer
from scrub.engine.on_graph import GraphRows
from scrub.engine.on_transformer import TransformerRows
from scrub.model.layers import unembed
from scrub.score.metrics import (
    Arguments,
    Numbers,
    apply,
    as_logits,
    check_width,
    on_few,
    on_logits,
    reads_few_tokens,
)

Rows = Int[np.ndarray, " n"]
AT_ONCE = 256


@runtime_checkable
class Measured(Protocol):
    """The metric on answers: `of(outputs, rows)` scores each with the arguments of its reference row."""

    @property
    def metric(self) -> AnyMetric: ...
    @property
    def arguments(self) -> Arguments: ...
    def of(self, outputs: Any, rows: Rows) -> Numbers: ...
    def answers(self, rows: Rows) -> Float[Tensor, "n v"]: ...


def _on_device(measured: OnTransformer) -> Arguments:
    return Arguments.of(measured.metric, measured.claim.data, measured.tokenizer, measured.rows.model.device)


def _on_cpu(measured: OnGraph) -> Arguments:
    return Arguments.of(measured.metric, measured.claim.data, None, torch.device("cpu"))


@frozen(eq=False)
class OnTransformer:
    """Outputs are final streams `[n, d]`."""

    claim: Claim
    rows: TransformerRows
    tokenizer: Tokenizer | None = field(default=None, repr=False)
    arguments: Arguments = field(init=False, repr=False, default=Factory(_on_device, takes_self=True))

    @property
    def metric(self) -> AnyMetric:
        return self.claim.metric

    def of(self, outputs: Float[Tensor, "n d"], rows: Rows) -> Numbers:
        with torch.no_grad():
            parts = [self._of(outputs[i : i + AT_ONCE], rows[i : i + AT_ONCE]) for i in range(0, len(rows), AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _of(self, outputs: Float[Tensor, "n d"], rows: Rows) -> Numbers:
        model, index = self.rows.model, torch.from_numpy(rows).to(self.rows.model.device)
        if reads_few_tokens(self.metric):
            few = unembed(model, outputs, self.arguments.needed(index))
            return numbers(on_few(self.arguments, index, few))
        logits = unembed(model, outputs)
        if isinstance(self.metric, Metric):
            return apply(self.metric, numbers(logits), [self.claim.data.rows[row] for row in rows])
        own = self.answers(rows) if self.metric.kind == "kl" else None
        return numbers(on_logits(self.metric.kind, self.arguments, index, logits, own))

    def answers(self, rows: Rows) -> Float[Tensor, "n v"]:
        """The model's own logits on rows."""
        with torch.no_grad():
            return unembed(self.rows.model, self.rows.outputs(rows))


@frozen(eq=False)
class OnGraph:
    """Outputs are the output node's values."""

    claim: Claim
    rows: GraphRows
    arguments: Arguments = field(init=False, repr=False, default=Factory(_on_cpu, takes_self=True))

    @property
    def metric(self) -> AnyMetric:
        return self.claim.metric

    def of(self, outputs: Sequence[Any], rows: Rows) -> Numbers:
        if isinstance(self.metric, Metric):
            return apply(self.metric, outputs, [self.claim.data.rows[row] for row in rows])
        own = self.answers(rows) if self.metric.kind == "kl" else None
        logits, index = as_logits(outputs, self.metric), torch.from_numpy(rows)
        check_width(self.arguments, self.metric, logits.shape[1])
        return numbers(on_logits(self.metric.kind, self.arguments, index, logits, own))

    def answers(self, rows: Rows) -> Float[Tensor, "n v"]:
        """The output node's vectors on rows, read as logits. Raises MetricError when they are none."""
        assert isinstance(self.metric, NamedMetric)
        return as_logits(self.rows.outputs(rows), self.metric)


def numbers(values: Tensor) -> Any:
    """A tensor as numpy numbers, in fp64."""
    return values.detach().double().cpu().numpy()
