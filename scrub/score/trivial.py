"""Where the bar is set by an answer that ignores its input: why, and what to measure instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from scrub.claims.metric import AnyMetric, Metric, predicted
from scrub.claims.resolved import Claim
from scrub.score.constant import Constant

MOST, RULES = 0.5, 0.9
HIGHER = "Expect more than an answer that ignores its input recovers, or use a metric under which it recovers less."


def trivial(
    claim: Claim,
    references: Int[np.ndarray, " reference"],
    expect: float,
    constant: float | None,
    answer: Constant | None,
) -> Iterator[str]:
    """Sentences on a best constant answer that decides the bar, or that nearly does as well as the model.

    Told are which answer it is and how many reference rows share its label, where the constant recovers more than
    was expected; and a metric whose words say what to measure instead, where it recovers more than `RULES`.
    """
    if constant is None or answer is None:
        return
    if constant > expect:
        yield f"the best constant answer decides the bar, {constant:.2f}: {_which(claim, references, answer)}"
    instead = "" if isinstance(claim.metric, Metric) else claim.metric.words.instead
    if constant > RULES and instead:
        yield (
            f"under {claim.metric} an answer that ignores its input recovers {constant:.2f}, so that "
            f"little is left to tell claims apart by: measure {instead}."
        )


def wrong_sign(metric: AnyMetric) -> str:
    """What is asked where the model does worse than a random answer by this metric."""
    if isinstance(metric, Metric):
        other = "lower" if metric.better == "higher" else "higher"
        return f"Is better={other!r} meant? {metric} says that {metric.better} is better."
    if len(metric.columns) < 2:
        return f"Does {metric} name the column of right answers, and is read= or at= where the model answers?"
    first, second, *_ = metric.columns
    return f"Are the two columns exchanged? {metric.kind}({second}, {first}) would have the other sign."


def _which(claim: Claim, references: Int[np.ndarray, " reference"], answer: Constant) -> str:
    """Whose answer it is, how many of the reference rows share its label, and what to do."""
    column = predicted(claim.metric, claim.options.predicts)
    mean = answer.row is None
    whose = "what the answers of all rows come to" if mean else f"the model's answer on row {answer.row}"
    if column is None:
        return f"it is {whose}. {HIGHER}"
    labels = [repr(claim.data.rows[row].columns.get(column)) for row in references]
    (label, count), *_ = Counter(labels).most_common(1)
    if answer.row is not None:
        label = repr(claim.data.rows[answer.row].columns.get(column))
        count = labels.count(label)
    which = f"the label {label}, which {count} of the {len(labels)} scored rows ({count / len(labels):.0%}) share"
    fix = "Balance the labels, or score rows in which they are." if count > MOST * len(labels) else HIGHER
    return f"it is {whose}, {'and the commonest is' if mean else 'with'} {which}. {fix}"
