"""What a claim says beside what it recovers is judged as that is: by its interval and what was expected."""

from __future__ import annotations

from attrs import evolve

from scrub.anatomy.tolerances import ROUNDING
from scrub.score.result import Result
from scrub.score.statistics import Interval
from scrub.score.verdict import INCONCLUSIVE, REFUTED, SUPPORTED, UNDEFINED


def demanded(result: Result, share: Interval, least: float, false: str, unknown: str = "") -> Result:
    """A result whose claim also says that a share is at least so much: `false` is what is wrong where it is not.

    A claim says all of its parts, so that one that is false refutes it, whatever the others leave open. Where the
    interval contains the least, or there is none, for which `unknown` gives the reason, a supported claim is
    inconclusive.
    """
    if result.verdict in (UNDEFINED, REFUTED):
        return result
    if share.low is None or share.high is None:
        return doubted(result, unknown or f"{false}, or so it may be: {share} has no interval.")
    if share.high < least - ROUNDING:
        return evolve(result, verdict=REFUTED, reason=f"{false}: {share} lies below {least:.2f}.")
    if share.low < least - ROUNDING:
        return doubted(result, f"perhaps {false}: {share} contains {least:.2f}.")
    return result


def doubted(result: Result, reason: str) -> Result:
    """A supported claim that was not shown to be all that it says is inconclusive; another keeps its verdict."""
    return evolve(result, verdict=INCONCLUSIVE, reason=reason) if result.verdict == SUPPORTED else result
