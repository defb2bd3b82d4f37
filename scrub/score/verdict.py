"""The verdict: one of four words, always with its reason."""

from __future__ import annotations

from attrs import frozen

from scrub.anatomy.tolerances import ROUNDING
from scrub.score.statistics import FEW_ROWS, Interval

SUPPORTED, REFUTED, INCONCLUSIVE, UNDEFINED = "supported", "refuted", "inconclusive", "undefined"


@frozen
class Verdict:
    """`word` is supported, refuted, inconclusive or undefined."""

    word: str
    reason: str


def nothing_to_recover(gap: Interval, better: str, rows: int) -> str | None:
    """Why there is no scale from the random to the model's metric, or None where there is one.

    `gap` is the interval of L_random - L_model. Where it contains 0, or lies on the side on which the model is
    the worse one, a share of it means nothing.
    """
    if rows < FEW_ROWS:
        return f"{rows} reference rows are too few: an interval takes at least {FEW_ROWS}."
    assert gap.low is not None
    assert gap.high is not None
    ends = (gap.low, gap.high) if better == "lower" else (-gap.high, -gap.low)
    if ends[0] > 0:
        return None
    how = "does worse than" if ends[1] < 0 else "does not do clearly better than"
    interval = f"L_random - L_model lies in [{gap.low:.3g}, {gap.high:.3g}]"
    return f"there is nothing to recover: the model {how} a random answer ({interval})."


def judge(recovered: Interval, nothing: str | None, expect: float, constant: float | None) -> Verdict:
    """Compare the interval of `recovered` with the bar: the higher of the expectation and the best constant.

    `nothing` says why the share is undefined, see `nothing_to_recover`.
    """
    if nothing is not None:
        return Verdict(UNDEFINED, nothing)
    if recovered.low is None or recovered.high is None:
        return Verdict(UNDEFINED, "the share that is recovered has no interval: L_random comes too near L_model.")
    bar = expect if constant is None else max(expect, constant)
    name = "the expectation" if bar == expect else "what the best constant answer recovers"
    if recovered.low >= bar - ROUNDING:
        return Verdict(SUPPORTED, f"the whole interval lies at or above {name}, {bar:.2f}.")
    if recovered.high < bar - ROUNDING:
        return Verdict(REFUTED, f"the whole interval lies below {name}, {bar:.2f}.")
    return Verdict(INCONCLUSIVE, f"the interval contains {name}, {bar:.2f}: it takes more rows to tell.")
