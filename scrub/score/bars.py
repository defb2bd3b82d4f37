"""Up to which bar a claim would pass: a bar far below what a claim recovers lets worse claims pass too."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor
from typing import TYPE_CHECKING

from scrub.anatomy.tolerances import BAR_DIGITS

if TYPE_CHECKING:
    from scrub.score.statistics import Interval

ROOM = 0.1  # between the low end and the expectation: with more, a higher bar is advised
PLACES = 100  # a bar is stated to two places


def highest_bar(shares: Iterable[Interval], constant: float | None, below: Iterable[float] = ()) -> float | None:
    """The lowest end of what has to lie above the bar (and of what it has to lie `below`), rounded down.

    None where one is undefined, and where it lies below the best constant answer: then a claim passes at no bar.
    """
    lows = [share.low for share in shares]
    if any(low is None for low in lows):
        return None
    low = min((*(low for low in lows if low is not None), *below))
    stated = floor(round(min(low, 1.0) * PLACES, BAR_DIGITS)) / PLACES
    return stated if stated > 0 and low >= (constant or 0.0) else None


def bar_words(highest: float, expect: float) -> str:
    """What is said of the highest bar; where there is room for worse claims, that it should be stated."""
    words = f"the claim would pass up to {highest:.2f}"
    if highest - expect <= ROOM:
        return words
    return f"{words}: state that for rows that you have not looked at, expect=recovers({highest:g})"
