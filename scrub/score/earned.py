"""What a part of a claim earns, as results have it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scrub.claims.parts import ClaimPart
from scrub.score.statistics import Interval

WORTH = 0.01  # of what is recovered: less is nothing
IS_EARNED, IS_SPARE, IS_SUPERFLUOUS, IS_UNCLEAR = "earned", "spare", "superfluous", "unclear"


@frozen
class Earned:
    """A part, what is recovered less without it, and whether it earned its place: `word` is one of four."""

    part: ClaimPart
    loss: Interval
    word: str

    def to_dict(self) -> dict[str, Any]:
        part, loss = self.part, self.loss
        return {
            "part": str(part), "kind": part.kind, "variable": part.variable, "parent": part.parent,
            "site": part.where, "earns": loss.value, "low": loss.low, "high": loss.high, "word": self.word,
        }  # fmt: skip
