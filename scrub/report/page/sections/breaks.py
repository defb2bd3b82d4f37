"""Which swaps cost a refuted claim what it lacks, and what each swap does alone."""

from __future__ import annotations

from scrub.report.page.blocks import Block, Folded, Items, table
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import capital, rate, share


def blocks(stored: StoredClaim) -> list[Block | None]:
    result = stored.result
    if not result["explanation"]:
        return [None]
    effects = result["diagnostics"]["effects"]
    rows = [
        (f"{e['kind']} of {e['variable']}", e["site"], e["route"], share(e["only"]), share(e["without"]),
         share(e["gain"], "+"), share(e["branch"], "+") if e["branch"] is not None else "-", rate(e["self_swaps"]))
        for e in effects
    ]  # fmt: skip
    head = ("swap", "at", "read by", "only it", "all but it", "undoing gains", "with all below", "own row")
    text = table(head, rows, "What is recovered, on a part of the sample.")
    every = Folded("Every swap alone, and all but each", (text,)) if text else None
    return [Items(tuple(map(capital, result["explanation"]))), every]


SECTION = ClaimSection("What breaks it", blocks, place=4)
