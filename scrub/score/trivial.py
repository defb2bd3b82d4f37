"""Where the bar is set by an answer that ignores its input: why, and what to measure instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from scrub.claims.metric import Metric, predicted
from scrub.claims.resolved import Claim

MOST, RULES = 0.5, 0.9


def trivial(
    claim: Claim, references: Int[np.ndarray, " reference"], expect: float, constant: float | None
) -> Iterator[str]:
    """Sentences on a best constant answer that decides the bar, or that nearly does as well as the model.

    Told are a label that more than `MOST` of the reference rows share, where the constant recovers more than was
    expected; and a metric whose words say what to measure instead, where it recovers more than `RULES`.
    """
    if constant is None:
        return
    if constant > expect and (shared := _shared(claim, references)) is not None:
        label, share = shared
        yield (
            f"the best constant answer decides the bar, {constant:.2f}: {share:.0%} of the scored rows have the "
            f"label {label}. Balance the labels, or score rows in which they are."
        )
    instead = "" if isinstance(claim.metric, Metric) else claim.metric.words.instead
    if constant > RULES and instead:
        yield (
            f"under {claim.metric} an answer that ignores its input recovers {constant:.2f}, so that "
            f"little is left to tell claims apart by: measure {instead}."
        )


def _shared(claim: Claim, references: Int[np.ndarray, " reference"]) -> tuple[str, float] | None:
    """The label that most reference rows have, and their share; None where no label has most of them."""
    column = predicted(claim.metric, claim.options.predicts)
    if column is None:
        return None
    labels = [claim.data.rows[row].columns.get(column) for row in references]
    (most, count), *_ = Counter(map(repr, labels)).most_common(1)
    return (most, count / len(labels)) if count > MOST * len(labels) else None
