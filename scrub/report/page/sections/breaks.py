"""Which swaps cost a claim what it lacks, what each swap does alone, and what the claim leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scrub.report.left_out import LEFT_OUT_HEAD, left_out_heading, left_out_lines, left_out_rows
from scrub.report.page.blocks import Block, Folded, Items, Words, table
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import capital, rate, share


def blocks(stored: StoredClaim) -> list[Block | None]:
    result = stored.result
    return [*_swaps(result), *_left_out(result.get("left_out", ()))]


def _left_out(found: Sequence[Mapping[str, Any]]) -> list[Block | None]:
    if not found:
        return [None]
    every = table(LEFT_OUT_HEAD, left_out_rows(found), "What is recovered more where one sender is read.")
    return [
        Words(capital(left_out_heading(found))),
        Items(tuple(left_out_lines(found))),
        Folded("What the claim leaves out", (every,)) if every else None,
    ]


def _swaps(result: Mapping[str, Any]) -> list[Block | None]:
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
