"""Faithfulness under each convention in use, by its own name: papers that say 'faithful' mean different numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve, field, frozen
from jaxtyping import Float

from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.claims.plain import as_dict
from scrub.score.statistics import UNDEFINED, Interval, interval

Row = Float[np.ndarray, " row"]


@frozen
class Faithfulness:
    """With F the mean metric, M the model, C the circuit and 0 everything ablated; None where undefined.

    `gap` |F(M) - F(C)| (Wang et al. 2022, section 4); `ratio` F(C)/F(M), their 87 %; `normalized`
    (F(C) - F(0))/(F(M) - F(0)), a ratio of means with its interval over rows (Marks et al. 2024).
    `mean_ratio` and `mean_normalized` are means over rows of the same quotients: other numbers, ruled by rows
    whose denominator is small; the latter is undefined wherever `normalized` is. `aue` mean |C - M| row by row,
    `ate` the same for 0, `explained` 1 - aue/ate (Goldowsky-Dill et al. 2023).
    """

    model: float
    circuit: float
    ablated: float
    gap: float
    ratio: float | None
    normalized: Interval
    mean_ratio: float | None
    mean_normalized: float | None
    aue: float
    ate: float
    explained: float | None
    beside: dict[str, dict[str, float]] = field(factory=dict[str, dict[str, float]])

    def to_dict(self) -> dict[str, Any]:
        share = self.normalized.to_dict()
        value = share.pop("value")
        return {**as_dict(self, "beside"), **share, "normalized": value, **self.beside}


def faithfulness(bench: CircuitBench, circuit: Circuit) -> tuple[Faithfulness, dict[str, Row]]:
    """The scores of a circuit, and the metric of model, circuit and F(0) on each row."""
    empty = bench.scores([Circuit()])[0]
    outputs = bench.outputs([circuit])
    own, model = bench.scored(outputs)[0], bench.model_scores
    beside = {
        name: {
            "model": float(bench.scored(bench.own, metric).mean()),
            "circuit": float(bench.scored(outputs, metric).mean()),
        }
        for name, metric in bench.scorer.beside().items()
    }
    found = conventions(model, own, empty, bench.seed, bench.experiment.metric.better)
    return evolve(found, beside=beside), {"model": model, "circuit": own, "ablated": empty}


def conventions(model: Row, own: Row, empty: Row, seed: int, better: str = "higher") -> Faithfulness:
    """The conventions from the metric of model, circuit and F(0) on each row."""
    columns = np.stack([own, empty, model], axis=1)
    f, zero, whole = (float(column.mean()) for column in (own, empty, model))
    share = normalized(columns, seed, better)
    by_row = None if share.value is None else _mean_of(own - empty, model - empty)
    aue, ate = float(np.abs(own - model).mean()), float(np.abs(empty - model).mean())
    return Faithfulness(
        whole, f, zero, abs(whole - f), _quotient(f, whole), share,
        _mean_of(own, model), by_row, aue, ate, _quotient(ate - aue, ate),
    )  # fmt: skip


def normalized(columns: Float[np.ndarray, "row k"], seed: int, better: str) -> Interval:
    """(F(C) - F(0))/(F(M) - F(0)) from columns circuit, ablated, model.

    Undefined where the interval of F(M) - F(0) contains 0 or lies on the worse side: then ablating everything
    does not hurt, and no share of that has a meaning.
    """
    sign = 1 if better == "higher" else -1
    room = interval(columns, lambda c: sign * (c[:, 2] - c[:, 1]), seed)
    if room.low is None or room.low <= 0:
        return UNDEFINED
    with np.errstate(divide="ignore", invalid="ignore"):
        return interval(columns, lambda c: (c[:, 0] - c[:, 1]) / (c[:, 2] - c[:, 1]), seed)


def _quotient(a: float, b: float) -> float | None:
    return a / b if b else None


def _mean_of(above: Row, below: Row) -> float | None:
    return float((above / below).mean()) if (below != 0).all() else None
