"""The verb that compares rival claims: one model, the same rows, seed and draws for all."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.part_rows import seen_by_any
from scrub.claims.problems import ClaimProblems, Problem
from scrub.claims.resolved import Claim
from scrub.claims.titles import name_of
from scrub.errors import ClaimError
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.model.source import Source
from scrub.verbs.setup import (
    OpenedModel,
    countable,
    holding,
    keeping,
    references,
    rival_benches,
    sampled,
    sampled_together,
    weights_of,
    working,
)
from scrub.verbs.verdict import judged

if TYPE_CHECKING:
    from scrub.model.weights import Transformer
    from scrub.score.comparison import Comparison
    from scrub.score.constant import Constant
    from scrub.score.result import Result
    from scrub.storage.directory import Run


def compare(
    *hypotheses: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20,
    seed: int = 0, exact: bool = False, controls: str = "shuffled", device: str | None = None, dtype: str = "auto",
    memory: Asked = None, out: str | Path | Run | None = None, ready: Callable[[Result], None] | None = None,
    cache: str | Path | None = None, workers: int = 1, ray: str | None = None, stream: bool = False,
) -> Comparison:  # fmt: skip
    """Which of rival claims explains more, paired by row, and what sets them apart; each is judged as in `test`.

    Main arguments: two claims or more about one model, one data set and one metric; none needs an expectation.
    `model` overrides that of all; `rows` takes a seeded subset of the reference rows; `draws` for each row; `seed`;
    `exact=True` enumerates every draw on a computation graph. Other arguments: `controls`, `out`, `cache`, `workers`,
    `ray`, `stream`, as in `test`; `device`, `dtype`, `memory`; `ready` hears of each claim's own result as it comes.
    Rows and draws are the same for all, and rivals share every draw where path and class agree. Data that differ in
    columns nobody reads are compared without these: the result names them, and digests and draws are those of the
    rows without them. Rows that a search for one of them saw are left out of all.

    Raises ClaimProblems, ModelError, MetricError, and ClaimError for claims that cannot be compared.
    """
    from scrub.score.comparable import refuse_different, refuse_other_numbers
    from scrub.score.compare import Rival, conclude
    from scrub.score.comparison import distinct, labels
    from scrub.score.constant import best_constant
    from scrub.score.controls import known_controls
    from scrub.score.in_use import on_columns_in_use
    from scrub.score.rivals import are_alike
    from scrub.score.sample import Resampling
    from scrub.score.trial import Trial
    from scrub.storage.directory import beside_run
    from scrub.storage.share import PartKept

    backend = Backend(device, dtype, memory, workers=working(workers, ray))
    countable(draws, rows, seed)
    known_controls(controls)
    claims, sources, given = _sound(hypotheses, model, stream)
    claims, left_out = on_columns_in_use(claims)
    names = distinct([name_of(claim.hypothesis) for claim in claims])
    short = list(labels(names).values())
    refuse_different(claims, short, [source.name for source in sources])
    run = beside_run(out, names) if isinstance(out, str | Path) else out
    weights = _weights(claims, sources, short, keeping(backend, cache, run), exact)
    holding(weights, sources[0], *claims)
    models = [
        OpenedModel(source, weights, own, run, backend.workers) for source, own in zip(sources, given, strict=True)
    ]
    benches = rival_benches(claims, models)
    used = [references(claim, rows, seed) for claim in claims]
    refuse_other_numbers(benches, used, short)

    @lru_cache  # kept for this comparison alone
    def constant() -> Constant | None:  # one for all, who share metric and rows
        return best_constant(claims[0], benches[0].measured, used[0])

    # A run keeps the numbers of each claim by itself, as its test does.
    at_once = run is None and weights is not None and are_alike(claims)
    together = sampled_together(benches, Resampling(used[0], draws, seed)) if at_once else None
    rivals: list[Rival] = []
    results: list[Result] = []
    waits: list[PartKept] = []
    for name, bench, opened, chosen, known in zip(
        names, benches, models, used, together or [None] * len(names), strict=True
    ):
        try:
            samples = known or sampled(bench, chosen, draws, seed, exact)
            result = judged(bench, samples, Trial(name, draws, seed, exact, controls, constant), opened)
        except PartKept as done:  # the parts of all rivals are kept
            waits.append(done)
            continue
        rivals.append(Rival(name, bench, samples))
        results.append(result)
        if ready is not None:
            ready(result)
    if waits:
        raise waits[-1]
    found = conclude(rivals, results, None if exact else draws, seed, sources[0].tokenizer)
    without = {"columns left out": f"{', '.join(left_out)} (nobody reads them, and the data differ there)"}
    return evolve(found, options=found.options | without) if left_out else found


def _sound(hypotheses: tuple[Any, ...], model: Any, stream: bool) -> tuple[list[Claim], list[Source], list[Any]]:
    """All claims resolved, with their models, and what took the place of these.

    Raises ClaimProblems with the problems of all of them.
    """
    strange = [type(given).__name__ for given in hypotheses if not isinstance(given, Hypothesis)]
    if strange or len(hypotheses) < 2:
        what = strange[0] if strange else ", ".join(h.title for h in hypotheses)
        raise ClaimError(f"compare({what}): give two claims or more, compare(a, b, ...).")
    found: list[tuple[Claim, Source, Any]] = []
    problems: list[Problem] = []
    for hypothesis in seen_by_any(hypotheses):
        try:
            given = given_model(hypothesis, model, stream)
            found.append((*sound(hypothesis, given, expecting=False), given))
        except ClaimProblems as error:
            problems += error.problems
    if problems:
        raise ClaimProblems(problems)
    claims, sources, models = map(list, zip(*found, strict=True))
    return claims, sources, models


def _weights(
    claims: list[Claim], sources: list[Source], names: list[str], backend: Backend, exact: bool
) -> Transformer | None:
    """The weights that all claims are about, loaded once; None for a computation graph.

    Models that came as different objects are told apart by the digests of their weights.
    """
    from scrub.model.digest import digest

    weights = weights_of(sources[0], claims[0].data, backend, exact)
    if weights is None:
        return None
    for source, name in zip(sources[1:], names[1:], strict=True):
        if source.loaded is not sources[0].loaded:
            other = weights_of(source, claims[0].data, backend)
            if other is None or digest(other) != digest(weights):
                raise ClaimError(
                    f"these claims cannot be compared: {names[0]} and {name} have different models (both are called "
                    f"{source.name}, and their weights differ)."
                )
    return weights
