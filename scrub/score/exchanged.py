"""What `recovers(0.8, interchange=0.9)` asks beside what is recovered: every variable's interchange score."""

from __future__ import annotations

from attrs import evolve

from scrub.score.demand import demanded, doubted
from scrub.score.interchange import JOINT, Interchange
from scrub.score.result import Result
from scrub.score.spoken import PartScore


def interchange_asked(result: Result, found: Interchange | str, least: float) -> Result:
    """A result with every variable's score, which judges it at `least`; `found` may say why there is none.

    The score of all variables jointly is none of a variable, and is not asked.
    """
    if isinstance(found, str):
        return doubted(result, f"interchange of at least {least:.2f} was asked, and could not be run: {found}")
    for one in found.exchanges:
        if one.variable == JOINT:
            continue
        score = PartScore(one.variable, one.moved.share, note=one.reason)
        result = evolve(result, interchange=(*result.interchange, score))
        false = f"{one.variable} set to what it is on other rows does not move the model as the story says"
        unknown = f"{one.variable} has no interchange score, of which {least:.2f} was asked: "
        unknown += one.reason or f"{one.moved.rows} rows are too few for an interval."
        result = demanded(result, score.share, least, false, unknown)
    return result
