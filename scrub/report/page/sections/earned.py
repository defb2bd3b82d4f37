"""What each part of a claim earns, and by what the claim could be smaller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scrub.report.earned import earned_row, remarks
from scrub.report.page.blocks import Block, items, table
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import span


def blocks(stored: StoredClaim) -> list[Block | None]:
    return [_earned(stored.result.get("earned", ())), items(remarks(stored.result))]


def _earned(earned: Sequence[Mapping[str, Any]]) -> Block | None:
    rows = [
        (*earned_row(one), span({"value": one["earns"], "low": one["low"], "high": one["high"]}), one["word"])
        for one in earned
    ]
    said = (
        "What is recovered less when the claim runs without a part, on the same rows and draws. Parts that earn "
        "nothing alone are dropped together: spare ones are needed once others are gone, superfluous ones are not."
    )
    return table(("kind", "part", "at", "earns", "word"), rows, said)


SECTION = ClaimSection("What each part earns", blocks, place=3)
