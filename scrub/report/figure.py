"""A claim as the figure of a paper: layers up, positions across, edges labelled by the channels that read.

One standalone SVG: no scripts, links or fonts of its own; hovering tells what stands behind a box or an edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap

from attrs import frozen

from scrub.anatomy.positions import Slot
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.report.channels import ink_of, label_of
from scrub.report.drawing import Level, level_of, place_of
from scrub.report.places import edge_key, kinds
from scrub.report.svg import cut, text

LETTER, LINE, PAD, GAP, BETWEEN = 7, 15, 14, 26, 40  # pixels: a letter, a line, inside, between boxes, between levels
WORDS, NAME, TITLE = 24, 32, 80  # letters of a line in a box, of a name, of the title
Cell = tuple[Level, Slot | None]


@frozen
class Box:
    """A variable where it stands: one box for each site and position."""

    variable: str
    site: PlacedSite
    slot: Slot | None
    lines: tuple[str, ...]
    x: int = 0
    y: int = 0
    wide: int = 0

    @property
    def high(self) -> int:
        return LINE * len(self.lines) + PAD

    def at(self, x: int, y: int) -> Box:
        return Box(self.variable, self.site, self.slot, self.lines, x, y, width_of(self.lines))


def width_of(lines: Sequence[str]) -> int:
    return LETTER * max(map(len, lines)) + PAD


def claim_svg(claim: Claim, told: Mapping[str, str] | None = None) -> str:
    """The figure of a claim; `told` adds words to boxes and edges (keys of `report.places`, or a variable)."""
    cells = _cells(claim)
    slots = sorted({slot for _, slot in cells}, key=lambda slot: place_of(claim, slot))
    levels = sorted({level for level, _ in cells}, reverse=True)
    margin = LETTER * max(len(level.label) for level in levels) + 2 * PAD if claim.graph.sequence else PAD
    columns, right = _columns(cells, slots, margin)
    boxes, rows, below = _placed(cells, slots, levels, columns)
    title, name = f"{claim.hypothesis.title}: {claim.metric} on {claim.graph.name}", claim.digest[:12]
    shown = cut(title, TITLE)
    width, height = max(right + PAD, LETTER * len(shown) + 2 * PAD), below + 2 * LINE + PAD
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-labelledby="title-{name} desc-{name}" font-family="sans-serif" font-size="12">',
        f'<title id="title-{name}">{escape(title)}</title>',
        f'<desc id="desc-{name}">{escape(_aloud(claim))}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(PAD, 20, shown, "start", ' font-weight="bold"'),
    ]
    for level, (top, high) in rows.items():
        if claim.graph.sequence:
            drawn.append(text(margin - PAD, top + high // 2 + 4, level.label, "end", ' fill="#777777"'))
    for slot, x in columns.items():
        if slot is not None:
            drawn.append(text(x, below + LINE, cut(str(slot), NAME), "middle", ' font-weight="bold"'))
    return "\n".join([*drawn, *_edges(claim, boxes, told or {}), *_boxes(claim, boxes, told or {}), "</svg>"]) + "\n"


def _cells(claim: Claim) -> dict[Cell, list[Box]]:
    found: dict[Cell, list[Box]] = {}
    reached = set(claim.placement.reached())
    for placed in claim.placement.placed.values():
        if placed.name not in reached:
            continue
        for site in placed.sites:
            parts = ", ".join(str(site.site).partition(" @ ")[0].split(", "))
            lines = (cut(placed.name, NAME), *wrap(parts, WORDS))
            top = max(site.site.components, key=lambda c: level_of(claim, c))
            for slot in site.site.at or (None,):
                found.setdefault((level_of(claim, top), slot), []).append(Box(placed.name, site, slot, lines))
    return found


def _columns(cells: dict[Cell, list[Box]], slots: list[Slot | None], left: int) -> tuple[dict[Slot | None, int], int]:
    """The middle of every column, and where the last one ends."""
    found: dict[Slot | None, int] = {}
    for slot in slots:
        wide = max(width_of(box.lines) for (_, at), boxes in cells.items() if at == slot for box in boxes)
        found[slot] = left + wide // 2
        left += wide + GAP
    return found, left - GAP


def _placed(
    cells: dict[Cell, list[Box]], slots: list[Slot | None], levels: list[Level], columns: dict[Slot | None, int]
) -> tuple[list[Box], dict[Level, tuple[int, int]], int]:
    """Boxes with their corners; each level's top and height; where the last one ends."""
    boxes: list[Box] = []
    rows: dict[Level, tuple[int, int]] = {}
    top = 20 + LINE
    for level in levels:
        stacks = {slot: cells.get((level, slot), []) for slot in slots}
        high = max(sum(box.high + GAP // 2 for box in stack) - GAP // 2 for stack in stacks.values())
        rows[level] = (top, high)
        for slot, stack in stacks.items():
            y = top + (high - sum(box.high + GAP // 2 for box in stack) + GAP // 2) // 2
            for box in stack:
                boxes.append(box.at(columns[slot] - width_of(box.lines) // 2, y))
                y += box.high + GAP // 2
        top += high + BETWEEN
    return boxes, rows, top - BETWEEN


def _edges(claim: Claim, boxes: Sequence[Box], told: Mapping[str, str]) -> Iterator[str]:
    """From the boxes of every parent to each reader, one line for the channels that read it there."""
    for reader in boxes:
        read: list[tuple[Box, list[str]]] = []
        for sender in boxes:
            if sender.variable in reader.site.parents():
                beside = claim.graph.sequence and sender.slot != reader.slot
                channels = [c for c in reader.site.channels_of(sender.variable) if c in ("k", "v") or not beside]
                read += [(sender, channels)] if channels else []
        read.sort(key=lambda found: found[0].x)
        for number, (sender, channels) in enumerate(read, 1):
            key = edge_key(reader.variable, reader.site.site, sender.variable, sender.site.site)
            yield _edge(sender, reader, channels, number / (len(read) + 1), told.get(key, ""))


def _edge(sender: Box, reader: Box, channels: Sequence[str], share: float, known: str) -> str:
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
    ink, name = ink_of(channels), label_of(channels)
    halo, pen = ' font-size="10" stroke="#ffffff" stroke-width="4"', f' font-size="10" fill="{ink}"'
    label = "".join(
        text(x1 + (x0 - x1) // 12, y1 + LINE, cut(name, NAME), "middle", look) for look in (halo, pen) if name
    )
    told = f"{', '.join(channels)} of {reader.variable} reads {sender.variable}" + (f"; {known}" if known else "")
    path = f'<path d="M{x0},{y0} C{x0},{bend} {x1},{bend} {x1},{y1}" fill="none" stroke="{ink}"/>'
    return f"<g><title>{escape(told)}</title>{path}{label}</g>"


def _boxes(claim: Claim, boxes: Sequence[Box], told: Mapping[str, str]) -> Iterator[str]:
    for box in boxes:
        facts = [f"{box.variable} at {box.site.site}", f"{kinds(claim, box.variable)} different values"]
        facts += [f"{channel} reads {', '.join(parents) or 'nothing claimed'}" for channel, parents in box.site.reads]
        known = told.get(f"{box.variable} at {box.site.site}", told.get(box.variable, ""))
        facts += [known] if known else []
        fill = "#fff7e0" if box.variable == claim.placement.output else "#eef3fa" if box.site.reads else "#f4f4f4"
        frame = f'<rect x="{box.x}" y="{box.y}" width="{box.wide}" height="{box.high}" rx="4"'
        yield f"<g><title>{escape('; '.join(facts))}</title>" + f'{frame} fill="{fill}" stroke="#333333"/>'
        for number, line in enumerate(box.lines):
            style = ' font-weight="bold"' if not number else ' font-size="11"'
            yield text(box.x + box.wide // 2, box.y + LINE * (number + 1), line, "middle", style)
        yield "</g>"


def _aloud(claim: Claim) -> str:
    """What a screen reader says: who stands where and reads whom."""
    parts: list[str] = []
    for name in claim.placement.reached():
        placed = claim.placement.placed[name]
        where = "; ".join(str(site.site) for site in placed.sites)
        parts.append(f"{name} at {where}" + (f", reads {', '.join(placed.parents)}" if placed.parents else ""))
    return ". ".join(parts) + "."
