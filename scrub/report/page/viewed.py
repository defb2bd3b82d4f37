"""Stored views as a section: each a picture or a table, under the words that they are evidence and no test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.claims.titles import short_name
from scrub.evidence.views import CAUTION, NAMES
from scrub.report.additive import additive_svg
from scrub.report.heat import Scale
from scrub.report.page.blocks import Block, Code, Folded, Part, Picture, Section, Words, facts, items, part, table
from scrub.report.page.provenance import provenance
from scrub.report.page.words import settings, several
from scrub.report.picture import Caption, picture
from scrub.report.views import Chart, Lines, Shown, charts

Found = Mapping[str, Any]


def views_section(found: Found, command: str) -> Section:
    """The views of one claim in their JSON form."""
    name, made = short_name(found["hypothesis"]), charts(found)
    brief = f"evidence, not a test: {several(len(found['views']), 'view')} on {several(found['rows'], 'row')}"
    parts: list[Part] = []
    for view in dict.fromkeys(one.view for one in made):
        parts += part(NAMES[view].capitalize(), *_blocks([one for one in made if one.view == view]))
    parts += part("Not shown", items(list(found["left_out"])))
    parts += part("Run it again", Code(command, command=True), facts(_sample(found)))
    return Section(f"Evidence for {name}", brief, (Words(CAUTION),), tuple(parts), kind="evidence")


def _blocks(some: list[Shown]) -> list[Block | None]:
    """Rows that are shown one by one are folded away."""
    single = [one for one in some if one.title.startswith("row ")]
    shown = [_block(one) for one in some if one not in single]
    inner = tuple(block for one in single if (block := _block(one)) is not None)
    return [*shown, *([Folded("Row by row", inner)] if inner else [])]


def _block(one: Shown) -> Block | None:
    if isinstance(one, Lines):
        return table(one.head, one.rows, " ".join(filter(None, [_sentence(one.title), one.note])))
    return Picture(chart_svg(one), one.note)


def chart_svg(chart: Chart) -> str:
    """A chart as an SVG; a legend of colours stands below signed ones."""
    title = _sentence(chart.title)[:-1]
    if chart.adds:
        return additive_svg(chart.steps, title, chart.note)
    caption = Caption(title, chart.note, ())
    return picture(chart.grid, chart.look, chart.scale if chart.signed else Scale(0.0, 0, 2), caption, chart.upward)


def _sentence(title: str) -> str:
    return f"{title[:1].upper()}{title[1:]}."


def _sample(found: Found) -> list[tuple[str, str] | None]:
    return [
        ("sample", f"{several(found['rows'], 'row')}, seed {found['seed']}"),
        ("options", settings(found["options"])) if found["options"] else None,
        *provenance(found),
    ]
