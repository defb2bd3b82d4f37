"""`scrub.explain`: what breaks a claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.titles import name_of
from scrub.errors import ClaimError, some
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.verbs.setup import (
    bench_of,
    countable,
    holding,
    keeping,
    model_record,
    progress,
    references,
    sampled,
    weights_of,
    working,
)

if TYPE_CHECKING:
    from scrub.score.explain import Explanation
    from scrub.storage.directory import Run


def explain(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    *, row: int | None = None, device: str | None = None, dtype: str = "auto",
    memory: Asked = None, ready: Callable[[Explanation], None] | None = None, cache: str | Path | None = None,
    workers: int = 1, ray: str | None = None, stream: bool = False, out: str | Path | Run | None = None,
) -> Explanation:  # fmt: skip
    """What breaks a claim: each swap alone and all but each, what it leaves out, the rows that suffer most, or `row`.

    `ready` hears, after each swap, of what is known so far: `unfinished` counts those to come. `out` is a directory
    in which numbers are kept block by block, a test's among them: the same call goes on from there. Others as in
    `test`.

    Raises as `test`, and ClaimError when `row` is no reference row.
    """
    from scrub.score.cost import FULL, effect_runs
    from scrub.score.explain import explain_claim
    from scrub.score.giving import what_is_left_out
    from scrub.score.judge import provenance
    from scrub.score.listener import Listener
    from scrub.score.taken import Taken
    from scrub.score.trial import Trial
    from scrub.storage.directory import beside_run

    backend = Backend(device, dtype, memory, workers=working(workers, ray))
    countable(draws, rows, seed)
    claim, source = sound(hypothesis, given_model(hypothesis, model, stream))
    used = references(claim, rows, seed)
    if row is not None and row not in used:
        raise ClaimError(f"--row {row} is none of the reference rows: those are {some(np.sort(used).tolist())}.")
    run = beside_run(out, [name_of(hypothesis)]) if isinstance(out, str | Path) else out
    weights = weights_of(source, claim.data, keeping(backend, cache, run))
    holding(weights, source, claim)
    bench = bench_of(claim, source, weights, run, backend.workers)
    samples = sampled(bench, used, draws, seed)
    record = provenance(claim.data, model_record(source, weights, bench))
    options = claim.options.shown() | ({} if row is None else {"row": row})
    with progress(f"{hypothesis.title}: swaps", effect_runs(bench.tree, claim) * len(used) * draws) as done:
        trial = Trial(name_of(hypothesis), draws, seed)
        found = explain_claim(bench, samples, trial, row, Listener(done=done, ready=ready))
    with progress(f"{hypothesis.title}: what it leaves out") as bar:
        left = what_is_left_out(Taken(bench, samples, seed, done=bar), FULL, bar.phase)
    return evolve(found, left_out=left, digest=claim.digest, options=options, provenance=record)
