"""The table of verdicts: undefined first, then where the interval lies against the bar."""

from __future__ import annotations

import pytest

from scrub.score.statistics import UNDEFINED, Interval
from scrub.score.verdict import judge, nothing_to_recover


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


def test_fewer_than_ten_rows() -> None:
    found = nothing_to_recover(UNDEFINED, "lower", 9)
    assert found == "9 reference rows are too few: an interval takes at least 10."
