"""What a claim recovers on the rows of one sub-skill, as results have it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scrub.score.spoken import StoryScore
from scrub.score.statistics import Interval


@frozen
class SkillScore:
    """The scores of a claim on the scored rows that a skill marks; its bar is the claim's.

    `note` says why nothing can be recovered there.
    """

    skill: str
    rows: int
    recovered: Interval
    explained: float | None
    story: StoryScore
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "skill": self.skill, "rows": self.rows, "recovered": self.recovered.to_dict(),
            "explained": self.explained, "story": self.story.to_dict(), "note": self.note,
        }  # fmt: skip
