"""`scrub.cpr_cmd`: how good the circuits of a ranking are at every size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrub.anatomy.graphs import ModelGraph
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.metric import Metric
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model
from scrub.model.source import find
from scrub.verbs.setup import keeping, progress, working
from scrub.verbs.setup_circuits import GivenSetting, Sampling, setting_of

if TYPE_CHECKING:
    from scrub.circuit.ranking import Areas, PartRanking


def cpr_cmd(
    ranking: PartRanking | str | Path, hypothesis: Hypothesis | None = None, *, sizes: Sequence[float] | None = None,
    model: Any = None, data: Dataset | None = None, metric: str | Metric | None = None, at: str | int = -1,
    scored: str | None = None, rows: int | None = None, seed: int = 0, draws: int | None = None,
    device: str | None = None, dtype: str = "auto", memory: Asked = None, cache: str | Path | None = None,
    workers: int = 1, ray: str | None = None, stream: bool = False, **protocol: Any,
) -> Areas:  # fmt: skip
    """CPR and CMD of a ranking (Mueller et al. 2025): its circuits at every size, run with everything else ablated.

    `ranking` is a `PartRanking`, or a file of scores: MIB's importances, auto-circuit's, a table. `sizes` are shares
    of all parts (default: MIB's ten). CPR takes signed scores, CMD absolute ones. The setting and other arguments are
    those of `run_circuit`; `cache`, `workers`, `ray` as in `test`. Raises as `run_circuit`, and for parts that the
    bench cannot ablate.
    """
    from scrub.circuit.bench import calls_of
    from scrub.circuit.ranking import MIB, Areas, PartRanking
    from scrub.circuit.ranking import cpr_cmd as curve

    chosen = ranking if isinstance(ranking, PartRanking) else PartRanking.read(ranking, _graph(hypothesis, model))
    backend = keeping(Backend(device, dtype, memory, workers=working(workers, ray)), cache)
    given = GivenSetting(hypothesis, given_model(hypothesis, model, stream), data, metric, at, scored)
    sampling = Sampling(rows, seed, draws)
    ready = setting_of(chosen.circuit, given, sampling, backend, protocol)
    shares = MIB if sizes is None else sizes
    with progress("cpr_cmd", calls_of(ready.experiment, draws, 2 * len(shares) + 2)) as done:
        bench = ready.bench(sampling, done)
        signed, absolute = (curve(bench, chosen, shares, by) for by in (False, True))
    return Areas(signed, absolute, ready.record)


def _graph(hypothesis: Hypothesis | None, model: Any) -> ModelGraph | None:
    """The graph whose names a file has; None where no model is given, which is told later."""
    chosen = hypothesis.model if model is None and hypothesis is not None else model
    return None if chosen is None else find(chosen).graph
