"""A stored curve over ranks as a section: the line, its table, and the rows that it saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.report.curve import cells, columns, curve_svg, headline, listed, notes, titled
from scrub.report.page.blocks import Code, Picture, Section, Words, facts, items, part, table
from scrub.report.page.provenance import provenance
from scrub.report.page.words import share

Curve = Mapping[str, Any]


def curve_section(c: Curve, command: str) -> Section:
    """One curve in its JSON form."""
    rows = [cells(c, point, share) for point in listed(c)]
    parts = [
        *part("Ranks", table(columns(c), rows, f"{headline(c)}."), items(list(notes(c)))),
        *part("Run it again", Code(command, command=True), facts(provenance(c))),
    ]
    before = (
        Words(headline(c) + "."),
        Picture(curve_svg(c), "The share of the change that the first directions make."),
    )
    return Section(titled(c), headline(c), before, tuple(parts), kind="curve over ranks")
