"""`scrub.test`: scrub a claim and judge it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.titles import name_of
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.verbs.report import options_of, save_run
from scrub.verbs.setup import OpenedModel, countable, holding, keeping, references, sampled, weights_of, working
from scrub.verbs.skills import matrix_pieces, skilled, with_matrix
from scrub.verbs.stability import Tested, with_stability
from scrub.verbs.verdict import judged, left_out_of_it, parts_earned, what_breaks

if TYPE_CHECKING:
    from scrub.score.result import Result
    from scrub.storage.directory import Run


def test(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    exact: bool = False, *, device: str | None = None, dtype: str = "auto", memory: Asked = None,
    explain: bool | None = None, controls: str = "shuffled", parts: str = "all", stability: bool = False,
    skills: bool = False, out: str | Path | Run | None = None, recompute: bool = False,
    cache: str | Path | None = None, workers: int = 1, ray: str | None = None, stream: bool = False,
) -> Result:  # fmt: skip
    """Scrub a claim and judge it.

    Main arguments: `hypothesis`; `model` overrides the claim's own (a name, a directory, a loaded model, a
    graph); `rows` takes a seeded subset of the reference rows (all by default); `draws` for each row; `seed`;
    `exact=True` enumerates every draw on a computation graph. Other arguments: `device`, `dtype` (`float64` to
    verify); `memory` bounds what is filled at once beside weights and rows (`"2GB"`, or a number of bytes; a quarter
    of what is free by default; numbers stay the same); `explain` says for whom it is looked for what breaks a refuted
    claim, and what a refuted or inconclusive one leaves out, each for about the cost of the test at most: by default
    for claims, with `True` for foils too, whose refutation is the good outcome, with `False` for none
    (`scrub.explain` shows all); `controls="none"` leaves out the shuffled values; `controls="all"` adds the same
    claim on random unclaimed heads and on untrained models; `parts="none"` does not ask what each part of the claim
    earns, for which it is run again without each on a few of the draws.
    `stability=True` asks the same claim in other ways, under other seeds, on halves of its data, with every other
    rest that the data allow, each at the cost of the claim's own draws (docs/policies.md).
    `skills=True` finds the circuit of each sub-skill that the claim names, and judges it on the rows of all
    (`result.matrix`, docs/skills.md).
    `out` is a directory in which numbers are kept block by block: the same test goes on from there, and
    `result.since` says what changed since the claim's last run; `recompute` has damaged blocks computed anew.
    `cache` is a directory in which what the model computes on rows is kept for other tests of it (`out`/rows by
    default, docs/runs.md): a claim finds there what was computed for another one. `workers` processes of this
    machine, or those of the `ray` cluster at an address, compute blocks and rows: numbers are the same
    (docs/clusters.md).
    `stream=True` runs the layers of a directory from its files, one at a time: the model may be larger than memory.

    Raises ClaimProblems with all problems of the claim, ModelError, MetricError, and ClaimError for a directory of
    another claim or version, a damaged block, a disk that is full.
    """
    from scrub.score.controls import known_controls
    from scrub.score.dictionaries import with_dictionaries
    from scrub.score.parts import known_parts
    from scrub.score.rerouted import with_routes
    from scrub.score.skills import with_skills
    from scrub.score.trial import Trial
    from scrub.storage.directory import open_run

    backend = Backend(device, dtype, memory, workers=working(workers, ray))
    countable(draws, rows, seed)
    known_controls(controls)
    known_parts(parts)
    given = given_model(hypothesis, model, stream)
    claim, source = sound(hypothesis, given)
    if skills:
        skilled(claim)
    run = open_run(out, [name_of(hypothesis)], recompute) if isinstance(out, str | Path) else out
    weights = weights_of(source, claim.data, keeping(backend, cache, run), exact)
    used = references(claim, rows, seed)
    holding(weights, source, claim, beside=matrix_pieces(claim, source, used, weights) if skills else ())
    opened = OpenedModel(source, weights, given, run, backend.workers)
    trial = Trial(name_of(hypothesis), draws, seed, exact, controls)
    bench = opened.bench(claim)
    samples = sampled(bench, used, draws, seed, exact)
    result = with_skills(bench, samples, judged(bench, samples, trial, opened))
    result = with_dictionaries(bench, samples, with_routes(bench, samples, result))
    result = parts_earned(bench, samples, result, parts)
    wanted = not hypothesis.foil_reason if explain is None else explain
    if wanted and not exact and result.broken_by_swaps:
        result = what_breaks(bench, samples, result, seed)
    if wanted and result.verdict in ("refuted", "inconclusive"):
        result = left_out_of_it(bench, samples, result, exact)
    if skills:
        result = with_matrix(bench, samples, result, opened)
    if stability:
        result = with_stability(Tested(bench, samples, opened, trial, rows), result)
    if run is not None:
        result = run.record(claim, result)
    if run is not None and run is not out:  # opened here, for this claim alone
        asked = options_of(
            model=model, rows=rows, draws=draws, seed=seed, exact=exact, device=device, dtype=dtype,
            controls=controls, explain=explain, parts=parts, stability=stability, skills=skills,
        )  # fmt: skip
        save_run(run.folder, run.claims, [result.to_dict()], asked)
        run.finish()
    return result
