"""The verdict: one of four words, always with its reason."""

from __future__ import annotations

from attrs import frozen

from scrub.score.statistics import FEW_ROWS, Interval

SUPPORTED, REFUTED, INCONCLUSIVE, UNDEFINED = "supported", "refuted", "inconclusive", "undefined"


@frozen
class Verdict:
    """`word` is supported, refuted, inconclusive or undefined."""

    word: str
    reason: str


def judge(
    recovered: Interval,
    gap: Interval,
    better: str,
    bar: float,
    expect: float,
    constant: float | None,
    rows: int,
) -> Verdict:
    """Compare the interval of `recovered` with the bar, the higher of the expectation and the best constant.

    `gap` is the interval of L_random - L_model: where it contains 0 or lies on the worse side nothing can be
    recovered, and the share is undefined.
    """
    if rows < FEW_ROWS:
        return Verdict(
            UNDEFINED, f"{rows} reference rows are too few: at least {FEW_ROWS} are needed for an interval."
        )
    if gap.low is None or gap.high is None:
        return Verdict(UNDEFINED, "the metric does not vary enough for an interval.")
    sign = 1 if better == "lower" else -1
    if min(sign * gap.low, sign * gap.high) <= 0:
        worse = max(sign * gap.low, sign * gap.high) < 0
        what = (
            "the model does worse than on random rows"
            if worse
            else "the model does no better than on random rows"
        )
        return Verdict(
            UNDEFINED, f"{what} (L_random - L_model in [{gap.low:.3g}, {gap.high:.3g}]): nothing to recover."
        )
    if recovered.low is None or recovered.high is None:
        return Verdict(UNDEFINED, "the share that is recovered has no interval.")
    name = "the expectation" if constant is None or expect >= constant else "the best constant answer"
    text = f"{name}, {bar:.2f}"
    if recovered.low >= bar:
        return Verdict(SUPPORTED, f"the interval lies at or above {text}.")
    if recovered.high < bar:
        return Verdict(REFUTED, f"the interval lies below {text}.")
    return Verdict(INCONCLUSIVE, f"the interval contains {text}: more rows would settle it.")
