"""The claim in its author's words: what the file says, the story as it was written, why a foil is false."""

from __future__ import annotations

from collections.abc import Sequence

from scrub.report.page.blocks import Block, Code, Folded, Words
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.told import ToldClaim


def blocks(stored: StoredClaim) -> Sequence[Block | None]:
    told = ToldClaim(**stored.drawn.told)
    story = Folded("The story as it was written", (Code("\n\n".join(told.story)),)) if told.story else None
    foil = Words(f"A foil, false on purpose: {told.foil}.") if told.foil else None
    return [foil, *map(Words, told.about), story]


SECTION = ClaimSection("In words", blocks, place=1.9)
