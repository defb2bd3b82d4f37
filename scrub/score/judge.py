"""From samples to a result: ratios, intervals, the constant, bits, the verdict."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from attrs import evolve

from scrub.claims.dataset import Dataset
from scrub.score.bits import bits
from scrub.score.constant import best_constant
from scrub.score.design import METHODS, SAMPLE
from scrub.score.population import as_donors, for_population
from scrub.score.power import settle
from scrub.score.result import MetricMeans, Result, Unexplained, gap, ratio
from scrub.score.sample import ClaimBench, Samples
from scrub.score.statistics import UNDEFINED, interval
from scrub.score.trial import Trial
from scrub.score.trivial import trivial, wrong_sign
from scrub.score.verdict import MORE_DRAWS, MORE_ROWS, judge_both, nothing_to_recover, rows_missing
from scrub.score.worst import worst_rows

VERSIONS = ("causal-scrub", "torch", "transformer-lens", "transformers", "networkx", "numpy")


def conclude(bench: ClaimBench, samples: Samples, trial: Trial, model: dict[str, Any]) -> Result:
    """Judge a claim from its samples, and record what they were taken on.

    Without an expectation 0 is expected, and the verdict is nobody's: a comparison leaves it out.
    """
    seed, draws, constant = trial.seed, trial.drawn, trial.constant
    claim, hypothesis = bench.claim, bench.claim.hypothesis
    columns = samples.columns
    means = columns.mean(0)
    expect, better = hypothesis.expect.share if hypothesis.expect else 0.0, claim.metric.better
    design = samples.design
    scale = interval(columns, gap, seed, design)
    nothing = nothing_to_recover(scale, better, len(columns), design, f" {wrong_sign(claim.metric)}")
    recovered = evolve(UNDEFINED, needs=rows_missing(len(columns), design))
    population, answer, best, spread = UNDEFINED, None, None, None
    if nothing is None:
        recovered, spread = interval(columns, ratio, seed, design), as_donors(bench, samples, draws, seed)
        population = for_population(recovered, spread, samples)
        answer = constant() if constant else best_constant(claim, bench.measured, samples.references)
        best = recovered_by(answer.value if answer else None, samples)
    bar = max(expect, best) if best is not None else expect
    verdict = judge_both(recovered, population, nothing, expect, best)
    words = (*claim.warnings, *trivial(claim, samples.references, expect, best, answer))
    if design == SAMPLE:
        reason = settle(verdict, recovered.value, bar, spread, draws)
    else:
        reason = verdict.reason.replace(MORE_ROWS, MORE_DRAWS)
    return Result(
        hypothesis=trial.name, digest=claim.digest, foil=hypothesis.foil_reason,
        verdict=verdict.word, reason=reason, expect=expect, spread=spread,
        recovered=recovered, population=population, constant=best, bar=bar,
        metric=MetricMeans(str(claim.metric), better, float(samples.model.mean()), float(means[0]), float(means[1])),
        unexplained=Unexplained.of(float(means[3]), float(means[4])),
        bits=bits(claim), rows=len(columns), draws=draws, seed=seed, accuracy=claim.accuracy,
        swaps=samples.swaps, own_rest=samples.own_rest,
        options=claim.options.shown(), seen=claim.seen,
        provenance=provenance(claim.data, model, design), design=design, warnings=(*words, *model.get("notes", ())),
        worst=worst_rows(bench, samples, bench.measured.tokenizer),
        table={"row": samples.references, "model": samples.model, "scrubbed": columns[:, 0], "random": columns[:, 1],
               "scrubbed_distance": columns[:, 3], "random_distance": columns[:, 4],
               **({} if samples.ceiling is None else {"ceiling": samples.ceiling})},
    )  # fmt: skip


def recovered_by(value: float | None, samples: Samples) -> float | None:
    """A mean metric on the scale of `recovered`, None where nothing can be recovered."""
    if value is None:
        return None
    means = samples.columns.mean(0)
    share = ratio(np.array([[value, means[1], means[2]]]))[0]
    return float(share) if np.isfinite(share) else None


def provenance(data: Dataset, model: dict[str, Any], design: str = SAMPLE) -> dict[str, Any]:
    """Model and revision, data digest, how intervals are made, and the versions of what computed.

    `pool` counts the rows used, `left_out` those that were left out because a search saw them or their partners.
    """
    found: dict[str, str] = {"python": platform.python_version()}
    for package in VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return {
        "model": model, "data": data.digest, "pool": len(data), "left_out": len(data.origin) - len(data),
        "interval": METHODS[design], "versions": found,
    }  # fmt: skip
