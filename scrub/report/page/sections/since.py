"""What changed since the last run of the claim, where runs are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.report.page.blocks import Block, items
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import share, span


def blocks(stored: StoredClaim) -> list[Block | None]:
    return [items(_since(stored.result.get("since")))]


def _since(since: Mapping[str, Any] | None) -> list[str]:
    if not since:
        return []
    before = f"It was {since['verdict']}, {share(since['recovered'])}"
    if since["same"]:
        return [f"{before}: no number changed.", *since["facts"]]
    more = f"what is recovered cannot be compared on the {since['rows']} rows of both"
    if since["difference"]["value"] is not None:
        more = f"{span(since['difference'])} more is recovered, paired on {since['rows']} rows"
    return [f"{before}; {more}.", *since["facts"]]


SECTION = ClaimSection("Since the last run", blocks, place=6)
