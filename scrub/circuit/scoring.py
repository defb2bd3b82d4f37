"""From final streams, or a graph's outputs, to numbers: the metric of each call with its row's own arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.circuit.experiment import Experiment
from scrub.claims.metric import AnyMetric, Metric, NamedMetric, predicted
from scrub.model.layers import unembed
from scrub.model.weights import Transformer
from scrub.score.metrics import (
    Arguments,
    Numbers,
    apply,
    as_logits,
    check_width,
    finite,
    on_few,
    on_logits,
    reads_few_tokens,
)

AT_ONCE = 256
Rows = Int[np.ndarray, " n"]


@frozen(eq=False)
class Scorer:
    """Scores outputs of an experiment. `own` holds the model's own outputs on the same rows, for `kl`."""

    experiment: Experiment
    model: Transformer | None
    _known: dict[str, Arguments] = field(factory=dict[str, Arguments], init=False, repr=False)

    def score(self, outputs: Any, rows: Rows, own: Any, metric: AnyMetric | None = None) -> Numbers:
        """The metric of each output, with the arguments of its row. Raises MetricError where it is no number."""
        metric = self.experiment.metric if metric is None else metric
        parts: list[Numbers] = []
        for i in range(0, len(rows), AT_ONCE):
            part = slice(i, i + AT_ONCE)
            parts.append(self._part(metric, outputs[part], rows[part], own[part]))
        found = np.concatenate(parts) if parts else np.zeros(0)
        return finite(found, rows, "in a run of a circuit")

    def _part(self, metric: AnyMetric, outputs: Any, rows: Rows, own: Any) -> Numbers:
        data, model = self.experiment.data, self.model
        if isinstance(metric, Metric):
            given = outputs if model is None else self._logits(outputs).numpy()
            return apply(metric, given, [data.rows[row] for row in rows])
        device = torch.device("cpu") if model is None else model.device
        arguments, index = self._arguments(metric, device), torch.from_numpy(rows).to(device)
        if model is not None and reads_few_tokens(metric):
            with torch.no_grad():
                return _numbers(on_few(arguments, index, unembed(model, outputs, arguments.needed(index))))
        logits = self._logits(outputs, metric)
        check_width(arguments, metric, logits.shape[1])
        answers = self._logits(own, metric) if metric.kind == "kl" else None
        return _numbers(on_logits(metric.kind, arguments, index, logits, answers))

    def _arguments(self, metric: NamedMetric, device: torch.device) -> Arguments:
        if str(metric) not in self._known:
            data, tokenizer = self.experiment.data, self.experiment.tokenizer
            self._known[str(metric)] = Arguments.of(metric, data, tokenizer, device)
        return self._known[str(metric)]

    def _logits(self, outputs: Any, metric: NamedMetric | None = None) -> Float[Tensor, "n v"]:
        if self.model is None:
            assert metric is not None
            return as_logits(list(outputs), metric)
        with torch.no_grad():
            logits = unembed(self.model, outputs)
        return logits if metric is not None else logits.cpu().double()

    def beside(self) -> dict[str, NamedMetric]:
        """What is measured beside the metric: KL from the model, and accuracy where a column says what is right."""
        if self.model is None and isinstance(self.experiment.metric, Metric):
            return {}
        found = {"kl": NamedMetric("kl", ())}
        column = predicted(self.experiment.metric, self.experiment.predicts)
        if column is not None and not isinstance(self.experiment.metric, Metric):
            found["accuracy"] = NamedMetric("accuracy", (column,))
        return found


def _numbers(values: Tensor) -> Numbers:
    return values.double().cpu().numpy()


def per_row(values: Sequence[float] | Numbers, draws: int) -> Float[np.ndarray, " row"]:
    """Means over the draws of each row; calls are in the order of rows, the draws of a row together."""
    return np.asarray(values, dtype=np.float64).reshape(-1, draws).mean(1)
