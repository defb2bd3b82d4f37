"""A claim as the figure of a paper: layers up, positions across, edges labelled by the channels that read.

One standalone SVG: no scripts, links or fonts of its own; hovering tells what stands behind a box or an edge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

from scrub.claims.resolved import Claim
from scrub.report.channels import ink_of, label_of
from scrub.report.drawn import ANSWER, LEAF, NAME, READER, Figure, FigureBox, Link, figure_of
from scrub.report.routes import BAND, End, FigureRow, Lanes, route
from scrub.report.svg import cut, text

LETTER, LINE, PAD, GAP, EDGE = 7, 15, 14, 26, 18  # pixels: a letter, a line, inside, between columns, between edges
TITLE = 80  # letters of the title
Stand = tuple[str, int]  # the level of a box, and how many stand above it there
FILL = {ANSWER: "#fff7e0", READER: "#eef3fa", LEAF: "#f4f4f4"}


@frozen
class PlacedBox:
    """A box with its corner, and the number of its row from above."""

    box: FigureBox
    x: int
    y: int
    row: int
    wide: int

    @property
    def high(self) -> int:
        return high_of(self.box)


def _widths(figure: Figure) -> list[int]:
    """How wide boxes are: for their words, and for what they read side by side."""
    read = Counter(link.reader for link in figure.links)
    return [
        max(LETTER * max(map(len, box.lines)) + PAD, EDGE * (read[number] + 1))
        for number, box in enumerate(figure.boxes)
    ]


def high_of(box: FigureBox) -> int:
    return LINE * len(box.lines) + PAD


def claim_svg(claim: Claim, words: Mapping[str, str] | None = None) -> str:
    """The figure of a claim; `told` adds words to boxes and edges (keys of `report.places`, or a variable)."""
    return figure_svg(figure_of(claim, words))


def figure_svg(figure: Figure) -> str:
    """The figure as a standalone SVG. Raises KeyError, IndexError for boxes that stand nowhere."""
    margin = LETTER * max(map(len, figure.levels)) + 2 * PAD if figure.layered else PAD
    columns, right = _columns(figure, margin)
    rows = _rows(figure)
    boxes, below = _placed(figure, columns, rows), max(map(sum, rows.values()))
    edges, right = _edges(figure, boxes, _lanes(rows, boxes, margin), right)
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
    if figure.layered:
        drawn += [text(margin - PAD, y, level, "end", ' fill="#777777"') for level, y in _labels(rows)]
    for slot, x in columns.items():
        if slot is not None:
            drawn.append(text(x, below + LINE, cut(slot, NAME), "middle", ' font-weight="bold"'))
    return "\n".join([*drawn, *edges, *_boxes(boxes), "</svg>"]) + "\n"


def _columns(figure: Figure, left: int) -> tuple[dict[str | None, int], int]:
    """The middle of every column, and where the last one ends."""
    found: dict[str | None, int] = {}
    for slot in figure.slots:
        wide = max(w for w, box in zip(_widths(figure), figure.boxes, strict=True) if box.slot == slot)
        found[slot] = left + wide // 2
        left += wide + GAP
    return found, left - GAP


def _stands(figure: Figure) -> Iterator[Stand]:
    """The level of every box, and how many stand above it there at its position: a row of its own for each."""
    above = Counter[tuple[str, str | None]]()
    for box in figure.boxes:
        yield box.level, above[box.level, box.slot]
        above[box.level, box.slot] += 1


def _rows(figure: Figure) -> dict[Stand, tuple[int, int]]:
    """The top and the height of every row, from above."""
    heights: dict[Stand, int] = {}
    for stand, box in zip(_stands(figure), figure.boxes, strict=True):
        heights[stand] = max(heights.get(stand, 0), high_of(box))
    rows: dict[Stand, tuple[int, int]] = {}
    top = 20 + LINE
    for stand in sorted(heights, key=lambda stand: (figure.levels.index(stand[0]), stand[1])):
        rows[stand] = top, heights[stand]
        top += heights[stand] + BAND
    return rows


def _labels(rows: Mapping[Stand, tuple[int, int]]) -> Iterator[tuple[str, int]]:
    """The name of each level, beside the middle of its rows."""
    for level in dict.fromkeys(level for level, _ in rows):
        ends = [(top, top + high) for (here, _), (top, high) in rows.items() if here == level]
        yield level, (ends[0][0] + ends[-1][1]) // 2 + 4


def _placed(
    figure: Figure, columns: Mapping[str | None, int], rows: Mapping[Stand, tuple[int, int]]
) -> list[PlacedBox]:
    """Boxes with their corners, each in the middle of its row."""
    order, boxes = list(rows), list[PlacedBox]()
    for stand, box, wide in zip(_stands(figure), figure.boxes, _widths(figure), strict=True):
        top, high = rows[stand]
        x, y = columns[box.slot] - wide // 2, top + (high - high_of(box)) // 2
        boxes.append(PlacedBox(box, x, y, order.index(stand), wide))
    return boxes


def _lanes(rows: Mapping[Stand, tuple[int, int]], boxes: Sequence[PlacedBox], left: int) -> Lanes:
    found: list[FigureRow] = []
    for number, (top, high) in enumerate(rows.values()):
        taken = sorted((box.x, box.x + box.wide) for box in boxes if box.row == number)
        found.append(FigureRow(top, top + high, tuple(taken)))
    return Lanes.of(found, left)


def _edges(figure: Figure, boxes: Sequence[PlacedBox], lanes: Lanes, right: int) -> tuple[list[str], int]:
    """The links of each reader, from left to right, and how far to the right they or the boxes reach."""
    drawn: list[str] = []
    for number, reader in enumerate(boxes):
        read = [(boxes[link.sender], link) for link in figure.links if link.reader == number]
        read.sort(key=lambda found: found[0].x)
        for place, (sender, link) in enumerate(read, 1):
            share = place / (len(read) + 1)
            path, lanes = route(*_ends(sender, reader, share), lanes)
            drawn.append(_edge(path, reader, link, share))
    return drawn, max([right, *(x for crossed in lanes.crossed for x in crossed)])


def _ends(sender: PlacedBox, reader: PlacedBox, share: float) -> tuple[End, End]:
    """From the sender's middle to the reader at a share of its width: through the sides that face each other."""
    above = sender.row < reader.row
    start = sender.y + (sender.high if sender.row <= reader.row else 0)
    end = End(reader.row, reader.x + round(reader.wide * share), reader.y + (0 if above else reader.high))
    return End(sender.row, sender.x + sender.wide // 2, start), end


def _edge(path: str, reader: PlacedBox, link: Link, share: float) -> str:
    """One line with its channels at the reader."""
    ink, name = ink_of(link.channels), label_of(link.channels)
    halo, pen = ' font-size="10" stroke="#ffffff" stroke-width="4"', f' font-size="10" fill="{ink}"'
    x, y = reader.x + round(reader.wide * share), reader.y + reader.high + LINE
    label = "".join(text(x, y, cut(name, NAME), "middle", look) for look in (halo, pen) if name)
    return f'<g><title>{escape(link.told)}</title><path d="{path}" fill="none" stroke="{ink}"/>{label}</g>'


def _boxes(boxes: Sequence[PlacedBox]) -> Iterator[str]:
    for placed in boxes:
        frame = f'<rect x="{placed.x}" y="{placed.y}" width="{placed.wide}" height="{placed.high}" rx="4"'
        fill = FILL[placed.box.kind]
        yield f"<g><title>{escape(placed.box.told)}</title>" + f'{frame} fill="{fill}" stroke="#333333"/>'
        for number, line in enumerate(placed.box.lines):
            style = ' font-weight="bold"' if not number else ' font-size="11"'
            yield text(placed.x + placed.wide // 2, placed.y + LINE * (number + 1), line, "middle", style)
        yield "</g>"
