"""Up to which bar a claim would pass: a bar far below what a claim recovers lets worse claims pass too."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from scrub.anatomy.tolerances import BAR_DIGITS

if TYPE_CHECKING:
    from scrub.score.statistics import Interval

ROOM = 0.1  # between the low end and the expectation: with more, a higher bar is advised
PLACES = 100  # a bar is stated to two places


def highest_bar(recovered: Interval, constant: float | None, worst: Interval | None = None) -> float | None:
    """The low end of what is recovered, or of what the adversary's swaps leave, rounded down.

    None where it is undefined, and where it lies below the best constant answer: then a claim passes at no bar.
    """
    lows = [share.low for share in (recovered, worst) if share is not None]
    if any(low is None for low in lows):
        return None
    low = min(low for low in lows if low is not None)
    stated = floor(round(min(low, 1.0) * PLACES, BAR_DIGITS)) / PLACES
    return stated if stated > 0 and low >= (constant or 0.0) else None


def bar_words(highest: float, expect: float) -> str:
    """What is said of the highest bar; where there is room for worse claims, that it should be stated."""
    words = f"the claim would pass up to {highest:.2f}"
    if highest - expect <= ROOM:
        return words
    return f"{words}: state that for rows that you have not looked at, expect=recovers({highest:g})"
