"""The claim as a figure, with tables of its sites and edges, and the tree that it unrolls to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.report.drawn import Figure
from scrub.report.figure import figure_svg
from scrub.report.page.blocks import Block, Code, Folded, Picture, table
from scrub.report.page.sections import ClaimSection, StoredClaim, StoredPicture
from scrub.report.page.words import capital, share
from scrub.report.places import NOTHING, effect_at
from scrub.report.swaps import HEAD, LEGEND, swap_row

Result = Mapping[str, Any]


def blocks(stored: StoredClaim) -> list[Block | None]:
    result, drawn = stored.result, stored.drawn
    effects = result["diagnostics"]["effects"]
    said = (
        "Layers up, positions across; a box is a variable at its site, an edge a channel that reads. "
        "The tables have what hovering shows."
    )
    figure = Picture(figure_svg(Figure.from_dict(drawn.figure)), said)
    return [
        figure, _sites(result, drawn, effects), _edges(drawn, effects),
        Folded("The unrolled tree", (Code(drawn.tree),)),
    ]  # fmt: skip


def _sites(result: Result, drawn: StoredPicture, effects: list[Any]) -> Block | None:
    swaps = {s["variable"]: s for s in result["diagnostics"]["variables"]}
    rest = result["options"].get("rest", "resample")
    rows: list[tuple[str, ...]] = []
    for place in drawn.places:
        s = swaps.get(place["variable"])
        known = swap_row(s, rest)[1:] if s else ("",) * len(HEAD[1:])
        ends = (*_single(place, effects, "donor"), *_single(place, effects, "rest"))
        unclaimed = ", ".join(r.removesuffix(NOTHING) for r in place["reads"] if r.endswith(NOTHING))
        rows.append((place["variable"], place["site"], unclaimed, str(place["values"]), *known, *ends))
    head = ("variable", "site", "unclaimed", "values", *HEAD[1:],
            "donor only", "donor undone", "rest only", "rest undone")  # fmt: skip
    text = " Only: recovered when this swap alone is made; undone: gained when it alone is not." if effects else ""
    return table(head, rows, "Sites. " + " ".join(f"{capital(sentence)}." for sentence in LEGEND) + text)


def _edges(drawn: StoredPicture, effects: list[Any]) -> Block | None:
    rows = [
        (e["reader"], e["at"], ", ".join(e["channels"]), e["sender"], e["site"], *_single(e, effects, "donor"))
        for e in drawn.edges
    ]
    return table(("reader", "at", "through", "reads", "from", "donor only", "donor undone"), rows, "Edges.")


def _single(place: Mapping[str, Any], effects: list[Any], kind: str) -> tuple[str, str]:
    found = effect_at(place["paths"], effects, kind)
    return ("", "") if found is None else (share(found["only"]), share(found["gain"], "+"))


SECTION = ClaimSection("The claim", blocks, place=2)
