"""One circuit, or one set of paths, run on every row: the metric, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen
from jaxtyping import Float

from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import described
from scrub.circuit.paths import Path
from scrub.claims.overlap import parts_met
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError
from scrub.score.statistics import UNDEFINED, Interval, interval
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd

Row = Float[np.ndarray, " row"]
RUNS = 2  # of every row: the circuit, or the paths, and what is changed


@frozen(eq=False)
class CircuitRun:
    """The mean metric of a run and its paired change from what it started from, with intervals over rows.

    `base` is the mean metric of that start: the model, or (denoising) the ablated run. `scores` in the table
    are the metric on each row; `digest` is the claim's, or without one that of the data.
    """

    what: str
    without: bool
    ablation: str
    direction: str
    metric: str
    better: str
    value: Interval
    base: float
    change: Interval
    rows: int
    draws: int
    seed: int
    options: dict[str, Any]
    provenance: dict[str, Any]
    table: dict[str, Any] = field(factory=dict[str, Any], repr=False)
    digest: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"circuit": self.what, **as_dict(self, "what", "table")}

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a row: the metric of the run and of its start."""
        return shown(self, "frame")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def run(bench: CircuitBench, circuit: Circuit, without: bool, provenance: dict[str, Any]) -> CircuitRun:
    """A circuit, everything outside it ablated; or the model without it."""
    found = bench.scores([circuit], without=without)[0]
    return _told(bench, str(circuit), without, found, provenance)


def run_paths(bench: CircuitBench, paths: Sequence[Path], provenance: dict[str, Any]) -> CircuitRun:
    """All paths patched together. Raises ClaimError for senders that overlap."""
    if met := parts_met([path.sender.component for path in paths], bench.experiment.graph):
        raise ClaimError(f"{met[0]} overlap, and would be patched twice: patch one after the other.")
    found = bench.path_scores([paths])[0]
    return _told(bench, "; ".join(map(str, paths)), False, found, provenance)


def start_of(bench: CircuitBench) -> Row:
    """The metric of the run that is changed: the model's, or (denoising) that on the ablated input."""
    if bench.experiment.noising:
        return bench.model_scores
    return bench.scores([Circuit()])[0]


def _told(bench: CircuitBench, what: str, without: bool, found: Row, provenance: dict[str, Any]) -> CircuitRun:
    experiment, base = bench.experiment, start_of(bench)
    columns = np.stack([found, base], axis=1)
    mean = interval(columns, lambda c: c[:, 0], bench.seed)
    change = interval(columns, lambda c: c[:, 0] - c[:, 1], bench.seed)
    return CircuitRun(
        what, without, experiment.protocol.ablation, experiment.protocol.direction, str(experiment.metric),
        experiment.metric.better, _valued(mean, found), float(base.mean()), _valued(change, found - base),
        len(found), bench.draws, bench.seed, described(experiment), provenance,
        by_row(bench, {"score": found, "base": base}), experiment.digest,
    )  # fmt: skip


def by_row(bench: CircuitBench, columns: dict[str, Row]) -> dict[str, list[Any]]:
    """A table in the order of row numbers, whatever the order in which rows were run."""
    order = np.argsort(bench.rows)
    return {"row": bench.rows[order].tolist(), **{name: column[order].tolist() for name, column in columns.items()}}


def _valued(found: Interval, column: Row) -> Interval:
    """The mean without an interval where there are too few rows for one."""
    return Interval(float(column.mean()), None, None) if found == UNDEFINED else found
