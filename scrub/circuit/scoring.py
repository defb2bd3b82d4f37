"""From final streams, or a graph's outputs, to numbers: the metric of each call with its row's own arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from attrs import field, frozen

from scrub.circuit.experiment import Experiment
from scrub.claims.metric import AnyMetric, Metric, NamedMetric, predicted
from scrub.metrics import Arguments, check_width
from scrub.model.weights import Transformer
from scrub.score.measure import MetricOnData, Rows, on_streams, on_values
from scrub.score.metrics import Numbers, finite


@frozen(eq=False)
class Scorer:
    """Scores outputs of an experiment."""

    experiment: Experiment
    model: Transformer | None
    # kept by the metric and its columns, for the experiment's data and tokenizer; a user's own has no arguments
    _known: dict[NamedMetric | None, Arguments] = field(factory=dict, init=False, repr=False)

    def score(self, outputs: Any, rows: Rows, own: Callable[[], Any], metric: AnyMetric) -> Numbers:
        """The metric of each output, with the arguments of its row; `own` gives the model's own, for `kl`.

        Raises MetricError where it is no number.
        """
        measure = MetricOnData(metric, self.experiment.data, self.arguments(metric))
        if self.model is None:
            found = on_values(measure, list(outputs), rows, lambda: list(own()))
        else:
            found = on_streams(self.model, measure, outputs, rows, lambda part: own()[part])
        return finite(found, rows, "in a run of a circuit")

    def arguments(self, metric: AnyMetric) -> Arguments:
        """The tokens that a metric's columns name, found once. Raises MetricError for those that do not exist."""
        named = metric if isinstance(metric, NamedMetric) else None
        if named not in self._known:
            device = torch.device("cpu") if self.model is None else self.model.device
            found = Arguments.of(metric, self.experiment.data, self.experiment.tokenizer, device)
            if self.model is not None and named is not None:
                check_width(found, named, self.model.shape.d_vocab)
            self._known[named] = found
        return self._known[named]

    def beside(self) -> dict[str, NamedMetric]:
        """What is measured beside the metric: KL from the model, and accuracy where a column says what is right."""
        if self.model is None and isinstance(self.experiment.metric, Metric):
            return {}
        found = {"kl": NamedMetric("kl", ())}
        column = predicted(self.experiment.metric, self.experiment.predicts)
        if column is not None and not isinstance(self.experiment.metric, Metric):
            found["accuracy"] = NamedMetric("accuracy", (column,))
        return found
