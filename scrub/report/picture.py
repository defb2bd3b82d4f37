"""A heat map as a picture: one SVG without scripts, links or fonts of its own, readable in print and aloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from attrs import frozen

from scrub.report.heat import C, Grid, Look, Scale
from scrub.report.svg import text

PAD, HIGH, LETTER = 12, 22, 7  # pixels: a margin, a row, the most that a letter takes
STEPS = 4  # shades of either sign in the legend
GAP = 6  # between heads and what stands beside them


@frozen
class Frame:
    """Where things stand: the corner of the cells and their width, the columns' places, the row labels' line."""

    left: int
    top: int
    wide: int
    columns: dict[str, int]
    rows: dict[str, int]
    names: int
    below: int

    @classmethod
    def of(cls, grid: Grid[C], longest: int, upward: bool) -> Frame:
        left = PAD + LETTER * max(map(len, (grid.corner, *grid.rows))) + 6
        wide = LETTER * max(longest, *map(len, grid.columns)) + 8
        top = PAD + 28 + (0 if upward else HIGH)
        columns: dict[str, int] = {}
        beside = upward and any(column.isdigit() for column in grid.columns)
        for i, column in enumerate(grid.columns):
            columns[column] = left + i * wide + (GAP if beside and i and not column.isdigit() else 0)
        order = grid.rows[::-1] if upward else grid.rows
        rows = {row: top + i * HIGH for i, row in enumerate(order)}
        bottom = top + len(order) * HIGH
        return cls(left, top, wide, columns, rows, bottom if upward else top - HIGH, bottom + (HIGH if upward else 0))


@frozen
class Caption:
    """What stands above and below a picture; `words` are what a screen reader says of it."""

    title: str
    words: str
    notes: Sequence[str]


def picture(grid: Grid[C], look: Callable[[C], Look], scale: Scale, caption: Caption, upward: bool) -> str:
    """The grid with its legend; `upward` puts the first row lowest."""
    title, words, notes = caption.title, caption.words, caption.notes
    cells = {key: look(cell) for key, cell in grid.cells.items()}
    frame = Frame.of(grid, max((len(c.number) for c in cells.values()), default=1), upward)
    drawn = [*_cells(cells, frame), *_names(grid, frame), *_legend(scale, frame, notes)]
    longest = max((len(text) for text in notes), default=0)
    right = max(frame.columns.values()) + frame.wide
    width = max(right, PAD + 8 * len(title), PAD + LETTER * longest, frame.left + 9 * 28) + PAD
    height = frame.below + PAD + (52 if scale.most or notes else 0) + 16 * len(notes)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="11" fill="#000000">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(words)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(PAD, PAD + 12, title, "start", ' font-size="14" font-weight="bold"'),
    ]
    return "\n".join([*head, *drawn, "</svg>"]) + "\n"


def _cells(cells: dict[tuple[str, str], Look], frame: Frame) -> Iterator[str]:
    for (row, column), cell in cells.items():
        x, y = frame.columns[column], frame.rows[row]
        bold = ' font-weight="bold"' if cell.bold else ""
        yield f"<g><title>{escape(cell.title)}</title>{_box(x, y, frame.wide, cell.back)}"
        yield text(x + frame.wide // 2, y + 15, cell.number, "middle", f' fill="{cell.ink}"{bold}') + "</g>"


def _names(grid: Grid[C], frame: Frame) -> Iterator[str]:
    yield text(frame.left - 6, frame.names + 15, grid.corner, "end", ' font-style="italic"')
    for row, y in frame.rows.items():
        yield text(frame.left - 6, y + 15, row, "end")
    for column, x in frame.columns.items():
        yield text(x + frame.wide // 2, frame.names + 15, column, "middle")


def _legend(scale: Scale, frame: Frame, notes: Sequence[str]) -> Iterator[str]:
    top = frame.below + PAD
    if scale.most:
        for i in range(-STEPS, STEPS + 1):
            x = frame.left + (i + STEPS) * 28
            cell = scale.look(scale.most * i / STEPS, "")
            yield _box(x, top, 28, cell.back)
            if i in (-STEPS, 0, STEPS):
                yield text(x + 14, top + HIGH + 13, cell.number if i else "0", "middle")
    for i, note in enumerate(notes):
        yield text(PAD, top + HIGH + 32 + 16 * i, note, "start")


def _box(x: int, y: int, wide: int, back: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{wide}" height="{HIGH}" fill="{back}" stroke="#bbbbbb"/>'
