"""What `shrink` and `grow` share: half of the rows are searched, the others measure what was found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.resolved import Claim
from scrub.score.result import ratio
from scrub.score.sample import ClaimBench, Samples
from scrub.score.statistics import UNDEFINED, Interval, interval
from scrub.score.taken import lost

Rows = Int[np.ndarray, " row"]
Half = Int[np.ndarray, " _"]


@frozen(eq=False)
class Searched:
    """A claim on the rows that are searched. A changed claim is resolved by `resolve`, run by `sampled`.

    `done` hears of calls.
    """

    hypothesis: Hypothesis
    bench: ClaimBench
    samples: Samples
    worth: float
    seed: int
    exact: bool
    resolve: Callable[[Hypothesis], Claim]
    bench_of: Callable[[Claim], ClaimBench]
    sampled: Callable[[ClaimBench, Rows], Samples]
    done: Callable[[int], None] = lambda _: None


def halves(claim: Claim, references: Rows) -> tuple[Half, Half]:
    """The rows that are searched and those that measure: rows of equal inputs are in one half."""
    digests = [claim.data.rows[row].input_digest for row in references.tolist()]
    number = {digest: i for i, digest in enumerate(dict.fromkeys(digests))}
    first = np.array([number[digest] % 2 == 0 for digest in digests], dtype=bool)
    return references[first], references[~first]


def share(samples: Samples) -> float | None:
    """What is recovered, None where nothing can be."""
    found = float(ratio(samples.columns.mean(0)[None])[0])
    return found if np.isfinite(found) else None


def paired_gain(before: Samples, after: Samples, seed: int) -> Interval:
    """What is recovered more by the second of two claims on the same rows, paired row by row."""
    columns = [before.scrubbed.mean(1), before.random.mean(1), before.top, after.scrubbed.mean(1)]
    return interval(np.column_stack(columns), lambda c: -lost(c), seed) if len(before.references) else UNDEFINED
