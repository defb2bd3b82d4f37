"""The claim asked in other ways: other seeds, halves of its data, other rests."""

from __future__ import annotations

from scrub.report.page.blocks import Block, items, table
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.stability import STABILITY_HEAD, dependence, stability_row

SAID = (
    "The same claim under other seeds, on halves of its data and with other rests. The last column is what the "
    "interval says at the bar, controls, story and parts left out."
)


def blocks(stored: StoredClaim) -> list[Block | None]:
    lines = stored.result.get("stability", ())
    return [table(STABILITY_HEAD, [stability_row(line) for line in lines], SAID), items(dependence(lines))]


SECTION = ClaimSection("Stability", blocks, place=3.5)
