"""Up to which bar a claim would pass, and when that is worth stating."""

from __future__ import annotations

import pytest
from attrs import evolve

import scrub
from score.cases import both
from scrub.score.bars import bar_words, highest_bar
from scrub.score.control import Control
from scrub.score.spoken import StoryScore
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
    shares = [Interval(low + 0.01, low, low + 0.02)]
    shares += [] if worst is None else [Interval(worst + 0.1, worst, worst + 0.2)]
    assert highest_bar(shares, constant) == expected
    assert highest_bar(shares, constant, [0.3]) == (0.3 if expected and not constant else None)


def test_without_an_interval_there_is_none() -> None:
    assert highest_bar([UNDEFINED], None) is None
    assert highest_bar([Interval(0.9, 0.8, 1.0), UNDEFINED], None) is None


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
        assert higher.passes_up_to is None


def test_what_the_bar_is_not_all_of_is_not_lost_on_it() -> None:
    """The wider interval counts, a story, tied parts and inputs apart that allow less; a refuted claim has none."""
    result = evolve(scrub.test(both(), draws=4, parts="none"), recovered=Interval(0.9, 0.9, 0.9), controls=())
    assert result.passes_up_to == 0.9
    assert evolve(result, population=Interval(0.9, 0.85, 0.95)).passes_up_to == 0.85
    assert evolve(result, story=StoryScore(Interval(0.9, 0.82, 0.95))).passes_up_to == 0.82
    assert evolve(result, controls=(Control("tied embed @ A", 0.7, 0.6, 0.81),)).passes_up_to == 0.81
    assert evolve(result, verdict="refuted").passes_up_to is None
