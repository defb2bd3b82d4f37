"""What a result says of the last run of its claim."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scrub.claims.plain import as_dict
from scrub.score.statistics import Interval


@frozen
class Since:
    """`difference` is what is recovered now minus what was then, over the `rows` that both runs have, paired.

    `facts` are what differs between the two runs, one a line; `verdict` and `recovered` are those of the last run.
    `same` says that every row has the number that it had.
    """

    facts: tuple[str, ...]
    verdict: str
    recovered: float | None
    difference: Interval
    rows: int
    same: bool

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)
