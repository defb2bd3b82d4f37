"""A claim as the figure of a paper: layers up, positions across, edges labelled by the channels that read.

One standalone SVG: no scripts, links or fonts of its own; hovering tells what stands behind a box or an edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

from scrub.claims.resolved import Claim
from scrub.report.channels import ink_of, label_of
from scrub.report.drawn import ANSWER, LEAF, NAME, READER, Figure, FigureBox, Link, figure_of
from scrub.report.svg import cut, text

LETTER, LINE, PAD, GAP, BETWEEN = 7, 15, 14, 26, 40  # pixels: a letter, a line, inside, between boxes, between levels
TITLE = 80  # letters of the title
FILL = {ANSWER: "#fff7e0", READER: "#eef3fa", LEAF: "#f4f4f4"}


@frozen
class PlacedBox:
    """A box with its corner."""

    box: FigureBox
    x: int
    y: int

    @property
    def wide(self) -> int:
        return width_of(self.box.lines)

    @property
    def high(self) -> int:
        return high_of(self.box)


def width_of(lines: Sequence[str]) -> int:
    return LETTER * max(map(len, lines)) + PAD


def high_of(box: FigureBox) -> int:
    return LINE * len(box.lines) + PAD


def claim_svg(claim: Claim, words: Mapping[str, str] | None = None) -> str:
    """The figure of a claim; `told` adds words to boxes and edges (keys of `report.places`, or a variable)."""
    return figure_svg(figure_of(claim, words))


def figure_svg(figure: Figure) -> str:
    """The figure as a standalone SVG. Raises KeyError, IndexError for boxes that stand nowhere."""
    margin = LETTER * max(map(len, figure.levels)) + 2 * PAD if figure.layered else PAD
    columns, right = _columns(figure, margin)
    boxes, rows, below = _placed(figure, columns)
    shown, name = cut(figure.title, TITLE), escape(figure.name)
    width, height = max(right + PAD, LETTER * len(shown) + 2 * PAD), below + 2 * LINE + PAD
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-labelledby="title-{name} desc-{name}" font-family="sans-serif" font-size="12">',
        f'<title id="title-{name}">{escape(figure.title)}</title>',
        f'<desc id="desc-{name}">{escape(figure.aloud)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(PAD, 20, shown, "start", ' font-weight="bold"'),
    ]
    for level, (top, high) in rows.items():
        if figure.layered:
            drawn.append(text(margin - PAD, top + high // 2 + 4, level, "end", ' fill="#777777"'))
    for slot, x in columns.items():
        if slot is not None:
            drawn.append(text(x, below + LINE, cut(slot, NAME), "middle", ' font-weight="bold"'))
    return "\n".join([*drawn, *_edges(figure, boxes), *_boxes(boxes), "</svg>"]) + "\n"


def _columns(figure: Figure, left: int) -> tuple[dict[str | None, int], int]:
    """The middle of every column, and where the last one ends."""
    found: dict[str | None, int] = {}
    for slot in figure.slots:
        wide = max(width_of(box.lines) for box in figure.boxes if box.slot == slot)
        found[slot] = left + wide // 2
        left += wide + GAP
    return found, left - GAP


def _placed(
    figure: Figure, columns: dict[str | None, int]
) -> tuple[list[PlacedBox], dict[str, tuple[int, int]], int]:
    """Boxes with their corners; each level's top and height; where the last one ends."""
    boxes: list[PlacedBox] = []
    rows: dict[str, tuple[int, int]] = {}
    top = 20 + LINE
    for level in figure.levels:
        stacks = {slot: [b for b in figure.boxes if (b.level, b.slot) == (level, slot)] for slot in figure.slots}
        high = max(sum(high_of(box) + GAP // 2 for box in stack) - GAP // 2 for stack in stacks.values())
        rows[level] = (top, high)
        for slot, stack in stacks.items():
            y = top + (high - sum(high_of(box) + GAP // 2 for box in stack) + GAP // 2) // 2
            for box in stack:
                boxes.append(PlacedBox(box, columns[slot] - width_of(box.lines) // 2, y))
                y += high_of(box) + GAP // 2
        top += high + BETWEEN
    return boxes, rows, top - BETWEEN


def _edges(figure: Figure, boxes: Sequence[PlacedBox]) -> Iterator[str]:
    """The links of each reader, from left to right."""
    for number, reader in enumerate(boxes):
        read = [(boxes[link.sender], link) for link in figure.links if link.reader == number]
        read.sort(key=lambda found: found[0].x)
        for place, (sender, link) in enumerate(read, 1):
            yield _edge(sender, reader, link, place / (len(read) + 1))


def _edge(sender: PlacedBox, reader: PlacedBox, link: Link, share: float) -> str:
    """One line, into the reader's lower side at a share of its width; between neighbours from side to side."""
    x0, y0, x1, y1 = (
        sender.x + sender.wide // 2,
        sender.y,
        reader.x + round(reader.wide * share),
        reader.y + reader.high,
    )
    if y0 <= y1:
        x0 = sender.x + (sender.wide if sender.x < reader.x else 0)
        x1 = reader.x + (0 if sender.x < reader.x else reader.wide)
        y0, y1 = sender.y + sender.high // 2, reader.y + reader.high // 2
    bend = (y0 + y1) // 2
    ink, name = ink_of(link.channels), label_of(link.channels)
    halo, pen = ' font-size="10" stroke="#ffffff" stroke-width="4"', f' font-size="10" fill="{ink}"'
    label = "".join(
        text(x1 + (x0 - x1) // 12, y1 + LINE, cut(name, NAME), "middle", look) for look in (halo, pen) if name
    )
    path = f'<path d="M{x0},{y0} C{x0},{bend} {x1},{bend} {x1},{y1}" fill="none" stroke="{ink}"/>'
    return f"<g><title>{escape(link.told)}</title>{path}{label}</g>"


def _boxes(boxes: Sequence[PlacedBox]) -> Iterator[str]:
    for placed in boxes:
        frame = f'<rect x="{placed.x}" y="{placed.y}" width="{placed.wide}" height="{placed.high}" rx="4"'
        fill = FILL[placed.box.kind]
        yield f"<g><title>{escape(placed.box.told)}</title>" + f'{frame} fill="{fill}" stroke="#333333"/>'
        for number, line in enumerate(placed.box.lines):
            style = ' font-weight="bold"' if not number else ' font-size="11"'
            yield text(placed.x + placed.wide // 2, placed.y + LINE * (number + 1), line, "middle", style)
        yield "</g>"
