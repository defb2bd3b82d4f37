"""`scrub.patch_paths`: paths patched together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.metric import Metric
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model
from scrub.verbs.setup import progress
from scrub.verbs.setup_circuits import (
    GivenSetting,
    Sampling,
    own_way,
    setting_of,
)

if TYPE_CHECKING:
    from scrub.circuit.paths import Path
    from scrub.circuit.runs import CircuitRun


def patch_paths(
    paths: str | Sequence[str] | Sequence[Path], hypothesis: Hypothesis | None = None, *, model: Any = None,
    data: Dataset | None = None, metric: str | Metric | None = None, at: str | int = -1, scored: str | None = None,
    rows: int | None = None, seed: int = 0, draws: int | None = None, device: str | None = None,
    dtype: str = "auto", memory: Asked = None, stream: bool = False, **protocol: Any,
) -> CircuitRun:  # fmt: skip
    """Patch along paths, all of them together: `"7.3 -> 9.9.q ~all~> logits"` (see docs/circuits.md).

    Under noising the model runs each row and the senders' values come from the ablation (`mean` by default;
    `paired`, `resample`, `zero`). Arguments as in `run_circuit`. Raises as `run_circuit`.
    """
    from scrub.circuit.arguments import names
    from scrub.circuit.bench import calls_of
    from scrub.circuit.paths import Path, paths_of
    from scrub.circuit.runs import RUNS, run_paths
    from scrub.circuit.sweep import bench_for

    names(paths, "paths", "'9.9 -> logits'", Path)
    own_way(protocol)
    backend = Backend(device, dtype, memory)
    chosen = given_model(hypothesis, model, stream)
    given, sampling = GivenSetting(hypothesis, chosen, data, metric, at, scored), Sampling(rows, seed, draws)
    ready = setting_of(None, given, sampling, backend, protocol)
    listed = paths_of(paths, ready.experiment.graph)
    with progress("paths", calls_of(ready.experiment, draws, RUNS)) as done:
        bench = bench_for(ready.experiment, ready.weights, listed, seed, draws)
        return run_paths(evolve(bench, done=done), listed, ready.record)
