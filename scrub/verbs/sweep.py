"""`scrub.sweep`: many senders patched, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    from scrub.circuit.sweep import Sweep

DOWNSTREAM = "~all~> logits"


def sweep(
    senders: str | Sequence[str] = "heads mlps", to: str = DOWNSTREAM, hypothesis: Hypothesis | None = None, *,
    at: str | int | Sequence[str | int] | None = None, model: Any = None, data: Dataset | None = None,
    metric: str | Metric | None = None, read: str | int = -1, scored: str | None = None, rows: int | None = None,
    seed: int = 0, draws: int | None = None, device: str | None = None, dtype: str = "auto",
    memory: Asked = None, stream: bool = False, ready: Callable[[Sweep], None] = lambda sweep: None, **protocol: Any,
) -> Sweep:  # fmt: skip
    """Patch many senders, one at a time, and tell the effect of each: a labelled table, and a heat map.

    `senders` are `heads`, `mlps`, `attn`, `embed`, layers of these (`heads 0-3`) or names; `to` is the rest of the
    path, `-> logits` (direct), `~mlps~> logits`, `-> 9.9.q ~all~> logits`, or `~all~> logits` (activation
    patching, the default; of a graph its output node); `at` names positions, each swept on its own (default: every
    position together).
    `ready` hears, after each 64 of them, of the effects so far; `unfinished` are the senders to come.
    With a receiver first (`-> 9.9.q ~all~> logits`) and `all` senders, every edge into it. Raises as `run_circuit`.
    """
    from scrub.circuit.arguments import names, positions, text
    from scrub.circuit.bench import calls_of
    from scrub.circuit.sweep import bench_for, cases_of, sweep_paths

    names(senders, "senders", "'heads' or '9.9 9.6'")
    text(to, "to", "the rest of the path, such as '-> logits'")
    positions(at)
    own_way(protocol)
    backend = Backend(device, dtype, memory)
    chosen = given_model(hypothesis, model, stream)
    given, sampling = GivenSetting(hypothesis, chosen, data, metric, read, scored), Sampling(rows, seed, draws)
    setting = setting_of(None, given, sampling, backend, protocol)
    if to == DOWNSTREAM:
        to = f"~all~> {setting.experiment.output}"
    cases = cases_of(senders, to, at, setting.experiment.graph)
    with progress("sweep", calls_of(setting.experiment, draws, len(cases) + 1)) as done:
        listed = [path for _, paths in cases for path in paths]
        bench = bench_for(setting.experiment, setting.weights, listed, seed, draws)
        return sweep_paths(evolve(bench, done=done), cases, to, setting.record, ready)
