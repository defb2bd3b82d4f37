"""From outputs to numbers: what a metric says of the answers that the engine gives, for either kind of model.

A `Measured` hides what an output is: a transformer's final stream, or the value of a graph's output node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from attrs import Factory, field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.shape import Shape
from scrub.claims.dataset import Dataset
from scrub.claims.metric import AnyMetric, Metric, NamedMetric
from scrub.claims.resolved import Claim
from scrub.claims.text import Tokenizer
from scrub.engine.on_graph import GraphRows
from scrub.engine.on_transformer import TransformerRows
from scrub.metrics import Arguments, as_logits, check_width, find
from scrub.model.bytes import SizedModel, logits_bytes
from scrub.model.layers import unembed
from scrub.model.memory import Piece
from scrub.model.upload import uploaded
from scrub.model.weights import Transformer
from scrub.score.metrics import Numbers, apply

Rows = Int[np.ndarray, " n"]
AT_ONCE = 256  # answers that are scored together, at most
HELD = 64  # answers whose logits are held together, at most
SCORED = 0.125  # share of the memory: logits and what a metric makes of them


@runtime_checkable
class Measured(Protocol):
    """The metric on answers: `of(outputs, rows)` scores each with the arguments of its reference row.

    `together` says of how many rows `answers` are held at once.
    """

    @property
    def metric(self) -> AnyMetric: ...
    @property
    def arguments(self) -> Arguments: ...
    @property
    def tokenizer(self) -> Tokenizer | None: ...
    def of(self, outputs: Any, rows: Rows) -> Numbers: ...
    @property
    def together(self) -> int: ...
    def answers(self, rows: Rows) -> Float[Tensor, "n v"]: ...


def _on_device(measured: TransformerAnswers) -> Arguments:
    return Arguments.of(measured.metric, measured.claim.data, measured.tokenizer, measured.rows.model.device)


def _on_cpu(measured: GraphAnswers) -> Arguments:
    return Arguments.of(measured.metric, measured.claim.data, None, torch.device("cpu"))


@frozen(eq=False)
class TransformerAnswers:
    """Outputs are final streams `[n, d]`. `arguments` are those of the metric on the claim's data."""

    claim: Claim
    rows: TransformerRows
    tokenizer: Tokenizer | None = field(default=None, repr=False)
    arguments: Arguments = field(repr=False, default=Factory(_on_device, takes_self=True))

    @property
    def metric(self) -> AnyMetric:
        return self.claim.metric

    def of(self, outputs: Float[Tensor, "n d"], rows: Rows) -> Numbers:
        measure = MetricOnData(self.metric, self.claim.data, self.arguments)
        return on_streams(self.rows.model, measure, outputs, rows, lambda part: self.rows.outputs(rows[part]))

    @property
    def together(self) -> int:
        return self.rows.model.fit(logits_piece(self.rows.model), HELD)

    def answers(self, rows: Rows) -> Float[Tensor, "n v"]:
        """The model's own logits on rows."""
        with torch.no_grad():
            return unembed(self.rows.model, self.rows.outputs(rows))


@frozen(eq=False)
class GraphAnswers:
    """Outputs are the output node's values."""

    claim: Claim
    rows: GraphRows
    arguments: Arguments = field(init=False, repr=False, default=Factory(_on_cpu, takes_self=True))

    @property
    def metric(self) -> AnyMetric:
        return self.claim.metric

    @property
    def tokenizer(self) -> None:
        """A graph has values, not tokens."""
        return None

    def of(self, outputs: Sequence[Any], rows: Rows) -> Numbers:
        measure = MetricOnData(self.metric, self.claim.data, self.arguments)
        return on_values(measure, outputs, rows, lambda: self.rows.outputs(rows))

    @property
    def together(self) -> int:
        return HELD

    def answers(self, rows: Rows) -> Float[Tensor, "n v"]:
        """The output node's vectors on rows, read as logits. Raises MetricError when they are none."""
        assert isinstance(self.metric, NamedMetric)
        return as_logits(self.rows.outputs(rows), self.metric)


@frozen(eq=False)
class MetricOnData:
    """A metric with the data whose columns it reads, and its arguments there."""

    metric: AnyMetric
    data: Dataset
    arguments: Arguments


def on_streams(
    model: Transformer, measure: MetricOnData, outputs: Float[Tensor, "n d"], rows: Rows,
    own: Callable[[slice], Float[Tensor, "part d"]],
) -> Numbers:  # fmt: skip
    """A metric on final streams, in parts; `own` gives the model's own streams on a part of the rows, for `kl`."""
    parts: list[Tensor] = []
    with torch.no_grad():
        size = answers_at_once(model, measure.metric, measure.arguments)
        for first in range(0, len(rows), size):
            part = slice(first, first + size)
            parts.append(_on_part(model, measure, outputs[part], rows[part], lambda p=part: own(p)))
    return numbers(torch.cat(parts)) if parts else np.zeros(0)


def answers_at_once(model: SizedModel, metric: AnyMetric, arguments: Arguments) -> int:
    """How many answers are scored together: for few tokens, columns of the unembedding are held."""
    return model.fit(answer_piece(model, metric, arguments), AT_ONCE)


def answer_piece(model: SizedModel, metric: AnyMetric, arguments: Arguments) -> Piece:
    """An answer, scored."""
    return Piece("the answer to one row", answer_bytes(model, metric, arguments), SCORED)


def logits_piece(model: SizedModel) -> Piece:
    """The logits of an answer: means of them are taken in fp64."""
    return Piece("the logits of one row", logits_bytes(model, 4 * 8 // model.dtype.itemsize), SCORED)


def answer_bytes(model: SizedModel, metric: AnyMetric, arguments: Arguments) -> int:
    """What scoring an answer fills."""
    tokens = few_tokens(metric, arguments)
    if tokens is None:
        return logits_bytes(model)
    return 2 * tokens * (model.shape.d_model + 1) * model.dtype.itemsize


def answer_work(model: Shape, metric: AnyMetric, arguments: Arguments) -> int:
    """Multiply-adds of scoring an answer: the columns of its tokens, or all, for the model's own answer too."""
    tokens = few_tokens(metric, arguments)
    if tokens is not None:
        return tokens * model.d_model
    own = not isinstance(metric, Metric) and find(metric).own
    return (1 + own) * model.d_vocab * model.d_model


def few_tokens(metric: AnyMetric, arguments: Arguments) -> int | None:
    """How many columns of the unembedding a metric reads for each row; None where it reads all."""
    if isinstance(metric, Metric) or find(metric).few is None:
        return None
    return sum(ids.shape[1] for ids in arguments.ids)


def _on_part(
    model: Transformer, measure: MetricOnData, outputs: Float[Tensor, "n d"], rows: Rows,
    own: Callable[[], Float[Tensor, "n d"]],
) -> Float[Tensor, " n"]:  # fmt: skip
    if isinstance(measure.metric, Metric):
        rows_of = [measure.data.rows[row] for row in rows]
        return torch.from_numpy(apply(measure.metric, numbers(unembed(model, outputs)), rows_of))
    formula, (index,) = find(measure.metric), uploaded([rows], model.device)
    against = measure.arguments.at(index, unembed(model, own()) if formula.own else None)
    if formula.few is not None:
        return formula.on_few(unembed(model, outputs, against.needed), against)
    return formula.on_logits(unembed(model, outputs), against)


def on_values(measure: MetricOnData, outputs: Sequence[Any], rows: Rows, own: Callable[[], Sequence[Any]]) -> Numbers:
    """A metric on the values of a graph's output; `own` gives the graph's own on the same rows, for `kl`."""
    metric, data, arguments = measure.metric, measure.data, measure.arguments
    if isinstance(metric, Metric):
        return apply(metric, outputs, [data.rows[row] for row in rows])
    logits, formula = as_logits(outputs, metric), find(metric)
    check_width(arguments, metric, logits.shape[1])
    against = arguments.at(torch.from_numpy(rows), as_logits(own(), metric) if formula.own else None)
    return numbers(formula.on_logits(logits, against))


def numbers(values: Tensor) -> Any:
    """A tensor as numpy numbers, in fp64."""
    return values.detach().double().cpu().numpy()
