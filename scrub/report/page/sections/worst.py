"""The rows whose metric the swaps change most."""

from __future__ import annotations

from scrub.report.page.blocks import Block, table
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import number


def blocks(stored: StoredClaim) -> list[Block | None]:
    result = stored.result
    worst = result["diagnostics"]["worst"]
    if not worst:
        return [None]
    rows = [(str(w["row"]), *(number(w[k]) for k in ("model", "scrubbed", "random"))) for w in worst]
    said = f"{result['metric']['name']} of single rows, means over draws; names in brackets mark positions."
    return [table(("row", "model", "scrubbed", "random"), rows, said, [w["text"] for w in worst])]


SECTION = ClaimSection("Rows that change most", blocks, place=5)
