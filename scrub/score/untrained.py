"""The control of untrained models: does the claim hold of the architecture, whatever was learnt?

The claim is scrubbed in models of the same shape with random weights, each measured against itself. What is recovered
there is defined only where such a model does better than a random row, by luck or by its shape; how much of its
answers the claim keeps row by row (explained) is always defined, and is to be read beside the trained model's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import evolve

from scrub.engine.on_transformer import TransformerRows
from scrub.errors import ClaimError, MetricError, ModelError
from scrub.model.untrained import untrained
from scrub.model.weights import Transformer
from scrub.score.control import UNTRAINED, Control
from scrub.score.cost import MODELS
from scrub.score.cost import UNTRAINED_DRAWS as DRAWS
from scrub.score.result import Result, Unexplained, gap, ratio
from scrub.score.sample import ClaimBench, Samples, sample
from scrub.score.statistics import UNDEFINED, interval
from scrub.score.verdict import nothing_to_recover

NOTHING = "they do no better than a random row"


def untrained_models(
    bench: ClaimBench, samples: Samples, result: Result, bench_of: Callable[[Transformer], ClaimBench],
    done: Callable[[int], None] = lambda _: None,
) -> Result:  # fmt: skip
    """A result with what the claim recovers and explains in three untrained models; it moves no verdict.

    `bench_of` sets the claim up on other weights. Where there are none to draw anew, the control says why.
    """
    try:
        found = _measured(bench, samples, result.seed, bench_of, done)
    except (ClaimError, MetricError, ModelError) as error:
        found = Control(UNTRAINED, None, None, None, None, str(error))
    return evolve(result, controls=(*result.controls, found))


def _measured(
    bench: ClaimBench,
    samples: Samples,
    seed: int,
    bench_of: Callable[[Transformer], ClaimBench],
    done: Callable[[int], None],
) -> Control:
    if not isinstance(bench.rows, TransformerRows):
        raise ClaimError("a computation graph has no weights.")
    tables: list[np.ndarray] = []
    for number in range(MODELS):
        fresh = untrained(bench.rows.model, seed * MODELS + number)
        tables.append(sample(bench_of(fresh), samples.references, DRAWS, seed).columns)
        done(1)
    columns = np.mean(tables, axis=0)
    means = columns.mean(0)
    nothing = nothing_to_recover(interval(columns, gap, seed), bench.claim.metric.better, len(columns))
    share = interval(columns, ratio, seed) if nothing is None else UNDEFINED
    explained = Unexplained.of(float(means[3]), float(means[4])).explained
    note = f"{MODELS} models with random weights" if nothing is None else NOTHING
    return Control(UNTRAINED, share.value, share.low, share.high, None, note, explained)
