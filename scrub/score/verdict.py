"""The verdict: one of four words, always with its reason."""

from __future__ import annotations

from attrs import frozen

from scrub.anatomy.tolerances import ROUNDING
from scrub.claims import seen
from scrub.score.design import SAMPLE
from scrub.score.statistics import Interval

# An interval of rows too skewed for their number is trusted only as far as six standard errors: a mean of any
# distribution lies as far above the true one in at most 2.6 % of samples (Cantelli 1928).
DOUBTED = 3.0
MORE_ROWS = "it takes more rows to tell"
MORE_DRAWS = "there are no other rows, so that it takes more draws to tell, or all of them (exact=True)"
SUPPORTED, REFUTED, INCONCLUSIVE, UNDEFINED = "supported", "refuted", "inconclusive", "undefined"


@frozen
class Verdict:
    """`word` is supported, refuted, inconclusive or undefined."""

    word: str
    reason: str


def rows_missing(rows: int, design: str) -> int:
    """The rows that a verdict takes, where there are fewer of a sample; else 0. A whole domain has all it needs."""
    return seen.VERDICT_ROWS if design == SAMPLE and rows < seen.VERDICT_ROWS else 0


def nothing_to_recover(gap: Interval, better: str, rows: int, design: str = SAMPLE, worse: str = "") -> str | None:
    """Why there is no scale from the random to the model's metric, or None where there is one.

    `gap` is the interval of L_random - L_model. Where it contains 0, or lies on the side on which the model is
    the worse one, a share of it means nothing. `design` says how the rows were come by, see `statistics.interval`;
    `worse` is what is asked where the model does worse.
    """
    if needs := rows_missing(rows, design):
        return _too_few(rows, needs)
    if gap.low is None or gap.high is None:
        return "L_random - L_model has no interval: rows are too few, or too unlike."
    ends = (gap.low, gap.high) if better == "lower" else (-gap.high, -gap.low)
    if ends[0] > 0:
        return None
    how = "does worse than" if ends[1] < 0 else "does not do clearly better than"
    interval = f"L_random - L_model lies in [{gap.low:.3g}, {gap.high:.3g}]"
    return f"there is nothing to recover: the model {how} a random answer ({interval}).{worse if ends[1] < 0 else ''}"


def _too_few(rows: int, needs: int) -> str:
    """What is missing, and what can be done."""
    found = f"{rows} reference row{' is' if rows == 1 else 's are'} too few: a verdict takes at least {needs}"
    return f"{found}, or the whole domain of a computation graph. Give the claim {needs - rows} more to score."


def judge(recovered: Interval, nothing: str | None, expect: float, constant: float | None) -> Verdict:
    """Compare the interval of `recovered` with the bar: the higher of the expectation and the best constant.

    `nothing` says why the share is undefined, see `nothing_to_recover`.
    """
    if nothing is not None:
        return Verdict(UNDEFINED, nothing)
    if recovered.low is None or recovered.high is None:
        return Verdict(UNDEFINED, "the share that is recovered has no interval: L_random comes too near L_model.")
    bar = expect if constant is None else max(expect, constant)
    name = f"{'the expectation' if bar == expect else 'what the best constant answer recovers'}, {bar:.2f}"
    word = _side(recovered.low, recovered.high, bar)
    if recovered.needs and recovered.value is not None:  # see DOUBTED
        low, high = (recovered.value + DOUBTED * (end - recovered.value) for end in (recovered.low, recovered.high))
        if _side(low, high, bar) == INCONCLUSIVE:
            return Verdict(UNDEFINED, _too_skewed(name, recovered.needs))
    if word == SUPPORTED:
        return Verdict(SUPPORTED, f"the whole interval lies at or above {name}.")
    if word == REFUTED:
        return Verdict(REFUTED, f"the whole interval lies below {name}.")
    return Verdict(INCONCLUSIVE, f"the interval contains {name}: {MORE_ROWS}.")


def _side(low: float, high: float, bar: float) -> str:
    if low >= bar - ROUNDING:
        return SUPPORTED
    return REFUTED if high < bar - ROUNDING else INCONCLUSIVE


def _too_skewed(name: str, needs: int) -> str:
    return (
        f"a few rows decide what is recovered: rows as skewed as these take about {needs} for an interval to be "
        f"trusted, and {DOUBTED:.0f} times as wide it contains {name}."
    )


def judge_both(
    recovered: Interval, population: Interval, nothing: str | None, expect: float, constant: float | None
) -> Verdict:
    """Compare the interval given the pool, and that for the population, which is at least as wide and decides."""
    given, wider = judge(recovered, nothing, expect, constant), judge(population, nothing, expect, constant)
    if given.word == wider.word or population.low is None or population.high is None:
        return given
    ends = f"[{population.low:z.2f}, {population.high:z.2f}]"
    return Verdict(wider.word, f"for the population that the pool is a sample of, {ends}: {wider.reason}")
