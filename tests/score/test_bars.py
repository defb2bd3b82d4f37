"""Up to which bar a claim would pass, and when that is worth stating."""

from __future__ import annotations

import pytest

import scrub
from score.cases import both
from scrub.score.bars import bar_words, highest_bar
from scrub.score.statistics import UNDEFINED, Interval


@pytest.mark.parametrize(
    ("low", "constant", "worst", "expected"),
    [
        (0.8765, None, None, 0.87),
        (0.87, 0.5, None, 0.87),  # a bar that is met exactly is passed
        (1.2, None, None, 1.0),  # no more can be asked for
        (0.8765, None, 0.604, 0.6),  # whichever swaps are made
        (0.4, 0.5, None, None),  # the bar is never below the best constant answer
        (-0.1, None, None, None),
        (0.004, None, None, None),
    ],
)
def test_the_highest_bar_is_the_low_end(
    low: float, constant: float | None, worst: float | None, expected: float | None
) -> None:
    share = None if worst is None else Interval(worst + 0.1, worst, worst + 0.2)
    assert highest_bar(Interval(low + 0.01, low, low + 0.02), constant, share) == expected


def test_without_an_interval_there_is_none() -> None:
    assert highest_bar(UNDEFINED, None) is None
    assert highest_bar(Interval(0.9, 0.8, 1.0), None, UNDEFINED) is None


def test_a_bar_that_leaves_room_is_advised_against() -> None:
    assert bar_words(0.87, 0.8) == "the claim would pass up to 0.87"
    assert bar_words(0.91, 0.8).endswith("expect=recovers(0.91)")


def test_a_claim_passes_at_the_bar_that_its_result_says_and_at_no_higher_one() -> None:
    result = scrub.test(both(expect=scrub.recovers(0.2)), draws=40, parts="none")
    highest = result.passes_up_to
    assert highest is not None
    assert result.to_dict()["passes_up_to"] == highest
    assert f"pass up to {highest:.2f}" in str(result)
    again = scrub.test(both(expect=scrub.recovers(highest)), draws=40, parts="none")
    assert again.verdict == "supported"
    if highest < 1:
        higher = scrub.test(both(expect=scrub.recovers(highest + 0.01)), draws=40, parts="none")
        assert higher.verdict != "supported"
