"""The sub-skills of a claim in words: its scores on the rows of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.report.page.words import share, span

SKILLS_HEAD = ("on rows of", "rows", "recovered", "explained", "story", "")
Stored = Mapping[str, Any]


def skill_row(skill: Stored) -> tuple[str, ...]:
    """A skill in its JSON form: how many rows have it, what is recovered there, explained, and right in the story."""
    story = skill["story"]
    told = story.get("note", "") if story["value"] is None else span(story)
    return (
        skill["skill"],
        str(skill["rows"]),
        span(skill["recovered"]),
        share(skill["explained"]),
        told,
        skill["note"],
    )
