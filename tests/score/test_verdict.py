"""The table of verdicts: undefined first, then where the interval lies against the bar."""

from __future__ import annotations

import pytest

from scrub.claims.metric import Metric, parse_metric
from scrub.claims.seen import VERDICT_ROWS
from scrub.score.statistics import UNDEFINED, Interval
from scrub.score.trivial import wrong_sign
from scrub.score.verdict import judge, judge_both, nothing_to_recover


def spanning(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("low", "high", "expect", "constant", "word", "says"),
    [
        (0.81, 0.90, 0.8, None, "supported", "at or above the expectation, 0.80"),
        (0.80, 0.90, 0.8, 0.3, "supported", "at or above the expectation, 0.80"),
        (0.79, 0.90, 0.8, None, "inconclusive", "contains the expectation, 0.80"),
        (0.70, 0.80, 0.8, None, "inconclusive", "contains the expectation, 0.80"),
        (0.70, 0.79, 0.8, None, "refuted", "below the expectation, 0.80"),
        (0.81, 0.84, 0.8, 0.85, "refuted", "below what the best constant answer recovers, 0.85"),
        (0.81, 0.86, 0.8, 0.85, "inconclusive", "contains what the best constant answer recovers, 0.85"),
        (0.86, 0.88, 0.8, 0.85, "supported", "at or above what the best constant answer recovers, 0.85"),
        (1.02, 1.10, 0.8, 0.5, "supported", "at or above the expectation, 0.80"),
        (-3.0, -2.0, 0.8, -1.0, "refuted", "below the expectation, 0.80"),
        (1 - 1e-12, 1.0, 1.0, None, "supported", "the expectation, 1.00"),
    ],
)
def test_the_interval_against_the_bar(
    low: float, high: float, expect: float, constant: float | None, word: str, says: str
) -> None:
    verdict = judge(spanning(low, high), None, expect, constant)
    assert verdict.word == word
    assert says in verdict.reason


@pytest.mark.parametrize(("low", "word"), [(0.88, "supported"), (0.84, "undefined"), (0.79, "undefined")])
def test_rows_too_skewed_for_their_number_take_three_times_the_width(low: float, word: str) -> None:
    """0.9 and the bar of 0.8: the low end, three times as far away, is at 0.84, 0.72 and 0.57."""
    verdict = judge(Interval(0.9, low, 0.95, needs=240), None, 0.8, None)
    assert verdict.word == word
    assert word == "supported" or "rows as skewed as these take about 240 for an interval to" in verdict.reason


@pytest.mark.parametrize(("low", "word"), [(0.82, "supported"), (0.78, "inconclusive")])
def test_the_wider_interval_of_the_population_decides(low: float, word: str) -> None:
    verdict = judge_both(spanning(0.85, 0.95), spanning(low, 1.0), None, 0.8, None)
    assert verdict.word == word
    if word == "inconclusive":
        assert verdict.reason.startswith(
            "for the population that the pool is a sample of, [0.78, 1.00]: the interval contains the expectation"
        )


def test_undefined_comes_first() -> None:
    verdict = judge(spanning(0.9, 0.95), "there is nothing to recover.", 0.8, None)
    assert (verdict.word, verdict.reason) == ("undefined", "there is nothing to recover.")


def test_a_share_without_an_interval_is_undefined() -> None:
    verdict = judge(UNDEFINED, None, 0.8, None)
    assert verdict.word == "undefined"
    assert "has no interval" in verdict.reason


@pytest.mark.parametrize(
    ("low", "high", "better", "says"),
    [
        (1.0, 2.0, "lower", None),
        (-2.0, -1.0, "higher", None),
        (-0.1, 2.0, "lower", "does not do clearly better"),
        (0.0, 2.0, "lower", "does not do clearly better"),
        (-2.0, 0.0, "higher", "does not do clearly better"),
        (-2.0, 0.1, "higher", "does not do clearly better"),
        (-2.0, -1.0, "lower", "does worse than a random answer"),
        (1.0, 2.0, "higher", "does worse than a random answer"),
    ],
)
def test_a_gap_that_contains_zero_or_lies_on_the_worse_side(
    low: float, high: float, better: str, says: str | None
) -> None:
    found = nothing_to_recover(spanning(low, high), better, 50)
    if says is None:
        assert found is None
    else:
        assert found is not None
        assert says in found
        assert f"[{low:.3g}, {high:.3g}]" in found


FEW = (
    "29 reference rows are too few: a verdict takes at least 30, or the whole domain of a computation graph. "
    "Give the claim 1 more to score."
)


def test_fewer_than_thirty_rows() -> None:
    assert VERDICT_ROWS == 30
    found = nothing_to_recover(UNDEFINED, "lower", 29)
    assert found == FEW


@pytest.mark.parametrize(
    ("metric", "asked"),
    [
        ("logit_diff(io, s1)", "Are the two columns exchanged? logit_diff(s1, io) would have the other sign."),
        ("loss(b)", "Does loss(b) name the column of right answers"),
        (Metric(lambda output, row: 0.0, name="gap"), "Is better='lower' meant? gap says that higher is better."),
    ],
)
def test_a_model_that_does_worse_is_asked_about_the_sign(metric: str | Metric, asked: str) -> None:
    assert wrong_sign(parse_metric(metric)).startswith(asked)
    worse, better = spanning(-2.0, -1.0), spanning(-2.0, 0.1)
    assert str(nothing_to_recover(worse, "lower", 50, worse=" Why?")).endswith("]). Why?")
    assert "Why" not in str(nothing_to_recover(better, "lower", 50, worse=" Why?"))
