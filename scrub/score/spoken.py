"""What a claim says beside what it recovers, as values: what its story answers, what its sites hold, its ceiling."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scrub.score.statistics import UNDEFINED, Interval


@frozen
class StoryScore:
    """How far the story's answer is the model's own.

    `share` is the share of reference rows on which it is, or, with `numbers`, 1 - mse(story, model) / mse(story,
    model on a random row). `note` says why there is none.
    """

    share: Interval = UNDEFINED
    numbers: bool = False
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        s = self.share
        found: dict[str, Any] = {"value": s.value, "low": s.low, "high": s.high, "numbers": self.numbers}
        return found | ({"note": self.note} if self.note else {})

    def __str__(self) -> str:
        if self.share.value is None:
            return f"not compared with the model's answers{f': {self.note}' if self.note else ''}"
        whose = "of what the model's answers vary by" if self.numbers else "of the rows"
        return f"its answer is the model's own on {self.share} {whose}"
