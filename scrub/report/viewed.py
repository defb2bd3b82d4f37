"""Evidence views in a terminal, in a notebook, and as a table of pandas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

from attrs import evolve

from scrub.claims.titles import short_name
from scrub.evidence.views import CAUTION, NAMES
from scrub.report.additive import additive_svg
from scrub.report.fixed import fixed
from scrub.report.heat import INDENT, WIDTH, Look, colours, drawn, html_grid, html_table
from scrub.report.text import options_words, table
from scrub.report.views import Chart, Shade, Shown, charts

if TYPE_CHECKING:
    import pandas as pd

    from scrub.evidence.views import Views


def views_text(views: Views) -> str:
    """Every view as a heat map with shades, or as a table of words."""
    lines = [f"{short_name(views.hypothesis)}: views of its components", INDENT + CAUTION]
    view = ""
    for one in charts(views.to_dict()):
        if one.view != view:
            view = one.view
            lines += ["", f"{view}: {NAMES[view]}"]
        lines += ["", *_lines(one)]
    return "\n".join([*lines, "", *(INDENT + line for line in _below(views))])


def _lines(one: Shown) -> Iterator[str]:
    yield INDENT + one.title
    yield from wrap(one.note.replace("bold:", "*:"), WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    body = drawn(one.grid, partial(_starred, one)) if isinstance(one, Chart) else table((one.head, *one.rows))
    yield from (f"{INDENT}  {line}" for line in body)


def _starred(chart: Chart, cell: Shade) -> Look:
    """A terminal may have no bold letters."""
    look = chart.look(cell)
    return evolve(look, number=f"*{look.number}") if look.bold else look


def _below(views: Views) -> list[str]:
    facts = [("sample", f"{views.rows} rows, seed {views.seed}")]
    facts += [("options", options_words(views.options))] if views.options else []
    return table([*facts, *(("not shown", text) for text in views.left_out)])


def views_html(views: Views) -> str:
    """Every view folded under its name, with coloured cells; the first is open."""
    found = charts(views.to_dict())
    parts: list[str] = []
    for view in dict.fromkeys(one.view for one in found):
        body = "".join(map(_html, [one for one in found if one.view == view])) + _marked(views, view)
        state = "" if parts else " open"
        parts.append(f"<details{state}><summary>{escape(NAMES[view])}</summary>{body}</details>")
    name = escape(short_name(views.hypothesis))
    head = f"<strong>{name}: views of its components</strong><div>{escape(CAUTION)}</div>"
    return f"<div>{head}{''.join(parts)}{fixed(chr(10).join(_below(views)))}</div>"


def _html(one: Shown) -> str:
    note = f'<div style="opacity:0.75">{escape(one.note)}</div>' if one.note else ""
    if isinstance(one, Chart) and one.adds:
        body = additive_svg(one.steps, one.title, one.note)
    elif isinstance(one, Chart):
        body = html_grid(one.grid, one.look)
    else:
        cells = (f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in one.rows)
        body = html_table(one.head, list(cells))
    title = f'<div style="margin-top:0.6em">{escape(one.title)}</div>'
    return f'{title}{note}<div style="overflow-x:auto">{body}</div>'


def _marked(views: Views, view: str) -> str:
    """The rows of `otherwise`, what follows each coloured by how often it is another token."""
    if views.otherwise is None or view != "otherwise":
        return ""
    return "".join(
        f'<div style="margin:0.3em 0">row {row.row}: {escape(row.text)} {_token(row.best, 0.0)} '
        f"{_token(row.instead or '', -row.changed)}</div>"
        for row in views.otherwise.rows
    )


def _token(word: str, share: float) -> str:
    back, ink = colours(share)
    look = f"background:{back};color:{ink};padding:1px 4px;border:1px solid #bbbbbb"
    return f'<span style="{look}">{escape(word)}</span>'


def views_frame(views: Views) -> pd.DataFrame:
    """One line a number: `view`, `table`, `row`, `column`, `value`."""
    import pandas as pd

    return pd.DataFrame(_numbers(charts(views.to_dict())), columns=["view", "table", "row", "column", "value"])


def _numbers(found: Sequence[Shown]) -> list[tuple[str, str, str, str, float]]:
    maps = [one for one in found if isinstance(one, Chart)]
    return [
        (one.view, one.title, row, column, cell.effect)
        for one in maps
        for (row, column), cell in one.grid.cells.items()
    ]
