"""From samples to a result: ratios, intervals, the constant, bits, the verdict."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from scrub.claims.dataset import Dataset
from scrub.score.bits import bits
from scrub.score.constant import best_constant
from scrub.score.power import Spread, settle
from scrub.score.result import Means, Result, Unexplained, gap, ratio
from scrub.score.sample import Bench, Samples
from scrub.score.statistics import METHOD, UNDEFINED, interval
from scrub.score.verdict import judge, nothing_to_recover

VERSIONS = ("causal-scrub", "torch", "transformer-lens", "transformers", "networkx", "numpy")


def conclude(
    bench: Bench, samples: Samples, draws: int | None, seed: int, name: str, model: dict[str, Any]
) -> Result:
    """Judge a claim from its samples, and record what they were taken on."""
    claim, hypothesis = bench.claim, bench.claim.hypothesis
    assert hypothesis.expect is not None
    columns = samples.columns
    means = columns.mean(0)
    expect, better = hypothesis.expect.share, claim.metric.better
    nothing = nothing_to_recover(interval(columns, gap, seed), better, len(columns))
    recovered, constant = UNDEFINED, None
    if nothing is None:
        recovered = interval(columns, ratio, seed)
        constant = recovered_by(best_constant(claim, bench.measured, samples.references), samples)
    bar = max(expect, constant) if constant is not None else expect
    verdict = judge(recovered, nothing, expect, constant)
    spread = Spread.of(samples) if nothing is None else None
    reason = settle(verdict.reason, verdict.word, recovered.value, bar, spread, draws)
    return Result(
        hypothesis=name, digest=claim.digest, foil=hypothesis.foil_reason,
        verdict=verdict.word, reason=reason, expect=expect, spread=spread,
        recovered=recovered, constant=constant, bar=bar,
        metric=Means(str(claim.metric), better, float(means[2]), float(means[0]), float(means[1])),
        unexplained=Unexplained.of(float(means[3]), float(means[4])),
        bits=bits(claim), rows=len(columns), draws=draws, seed=seed, accuracy=claim.accuracy,
        swaps=samples.swaps, own_rest=samples.own_rest,
        options=claim.options.shown(), seen=claim.seen,
        provenance=provenance(claim.data, model), warnings=claim.warnings,
        table={"row": samples.references, "model": columns[:, 2], "scrubbed": columns[:, 0], "random": columns[:, 1],
               "scrubbed_distance": columns[:, 3], "random_distance": columns[:, 4]},
    )  # fmt: skip


def recovered_by(value: float | None, samples: Samples) -> float | None:
    """A mean metric on the scale of `recovered`, None where nothing can be recovered."""
    if value is None:
        return None
    means = samples.columns.mean(0)
    share = ratio(np.array([[value, means[1], means[2]]]))[0]
    return float(share) if np.isfinite(share) else None


def provenance(data: Dataset, model: dict[str, Any]) -> dict[str, Any]:
    """Model and revision, data digest, how intervals are made, and the versions of what computed.

    `pool` counts the rows used, `left_out` those that were left out because a proposal saw them or their partners.
    """
    found: dict[str, str] = {"python": platform.python_version()}
    for package in VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return {
        "model": model, "data": data.digest, "pool": len(data), "left_out": len(data.origin) - len(data),
        "interval": METHOD, "versions": found,
    }  # fmt: skip
