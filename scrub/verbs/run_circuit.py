"""`scrub.run_circuit`: one circuit, everything outside it ablated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.metric import Metric
from scrub.errors import ClaimError
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model
from scrub.verbs.setup import progress
from scrub.verbs.setup_circuits import (
    CircuitLike,
    GivenSetting,
    Sampling,
    setting_of,
)

if TYPE_CHECKING:
    from scrub.circuit.runs import CircuitRun


def run_circuit(
    circuit: CircuitLike, hypothesis: Hypothesis | None = None, *, without: bool = False, model: Any = None,
    data: Dataset | None = None, metric: str | Metric | None = None, at: str | int = -1, scored: str | None = None,
    rows: int | None = None, seed: int = 0, draws: int | None = None, device: str | None = None,
    dtype: str = "auto", memory: Asked = None, stream: bool = False, **protocol: Any,
) -> CircuitRun:  # fmt: skip
    """Run one circuit: everything outside it ablated (or, `without=True`, the circuit itself).

    The setting is a hypothesis', or `model`, `data`, `metric` and `at`, the position where logits are read. Other
    arguments as in `criteria`. Raises as `criteria`.
    """
    from scrub.circuit.bench import calls_of
    from scrub.circuit.runs import RUNS, run

    if circuit is None:
        raise ClaimError("run_circuit(None): give a Circuit or names; Circuit.of(hypothesis) is what a claim names.")
    backend = Backend(device, dtype, memory)
    chosen = given_model(hypothesis, model, stream)
    given, sampling = GivenSetting(hypothesis, chosen, data, metric, at, scored), Sampling(rows, seed, draws)
    ready = setting_of(circuit, given, sampling, backend, protocol)
    with progress("circuit", calls_of(ready.experiment, draws, RUNS)) as done:
        return run(ready.bench(sampling, done), ready.circuit, without, ready.record)
