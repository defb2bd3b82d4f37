"""Share against bits as a picture: one SVG without scripts or links; few bits and a large share are better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from scrub.report.labels import Room, labelled
from scrub.report.svg import cut, text, ticks
from scrub.score.comparison import CLAIM

if TYPE_CHECKING:
    from scrub.score.comparison import ParetoPoint
    from scrub.score.statistics import Interval

# pixels: the plot, its corner, a line of the legend; all of it as wide as a phone shows without scrolling
WIDE, HIGH, LEFT, TOP, LINE, WIDTH = 316, 260, 48, 44, 18, 384
BLUE, GREY = "#2166ac", "#6e7781"
NAME, LETTERS = 34, 54  # of a name, of a line in the legend


class Spanned(Protocol):
    """A claim with its interval."""

    @property
    def hypothesis(self) -> str: ...
    @property
    def recovered(self) -> Interval: ...


class Pareto(Protocol):
    """What the picture shows: a comparison, or what was stored of one."""

    @property
    def hypotheses(self) -> Sequence[Spanned]: ...
    @property
    def pareto(self) -> Sequence[ParetoPoint]: ...
    @property
    def metric(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


@frozen
class Axes:
    """From bits and shares to pixels."""

    bits: float
    low: float
    high: float

    @classmethod
    def of(cls, c: Pareto) -> Axes:
        shares = [p.recovered for p in c.pareto if p.recovered is not None]
        ends = [e for h in c.hypotheses for e in (h.recovered.low, h.recovered.high) if e is not None]
        low, high = min(0.0, *shares, *ends), max(1.0, *shares, *ends)
        room = 0.05 * (high - low)
        return cls(1.05 * max(1.0, *(p.bits for p in c.pareto)), low - room, high + room)

    def x(self, bits: float) -> float:
        return round(LEFT + WIDE * bits / self.bits, 1)

    def y(self, share: float) -> float:
        return round(TOP + HIGH * (self.high - share) / (self.high - self.low), 1)


def comparison_svg(c: Pareto) -> str:
    """Claims as discs with their intervals, controls as squares; hollow where another point dominates."""
    axes, points = Axes.of(c), [p for p in c.pareto if p.recovered is not None]
    spans = {h.hypothesis: h.recovered for h in c.hypotheses}
    described = [_described(p, c.labels) for p in points]
    legend = list(_legend(points, {name: cut(label, NAME) for name, label in c.labels.items()}))
    height = TOP + HIGH + 46 + LINE * len(legend)
    title = f"Share of {c.metric} recovered against bits kept"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'role="img" aria-labelledby="pareto-title pareto-desc" font-family="sans-serif" font-size="13">',
        f'<title id="pareto-title">{escape(title)}</title>',
        f'<desc id="pareto-desc">{escape("; ".join(f"{i}  {line}" for i, line in enumerate(described, 1)))}</desc>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(12, 18, f"{cut(c.metric, 26)}: share recovered", "start", ' font-size="14" font-weight="bold"'),
    ]
    marks = [_mark(p, axes, line) for p, line in zip(points, described, strict=True)]
    drawn = [*_frame(axes), *_spans(points, spans, axes), *marks, *_labels(points, spans, axes)]
    below = TOP + HIGH + 56
    listed = [
        text(12 if number else 36, below + LINE * i, number or line, "start", ' font-weight="bold"' if number else "")
        for i, (first, line) in enumerate(legend)
        for number in ([first, ""] if first else [""])
    ]
    return "\n".join([*head, *drawn, *listed, "</svg>"]) + "\n"


def _described(p: ParetoPoint, names: Mapping[str, str]) -> str:
    kind = "" if p.kind == CLAIM else " (control)"
    by = f", dominated by {names.get(p.dominated_by, p.dominated_by)}" if p.dominated_by else ""
    return f"{names.get(p.hypothesis, p.hypothesis)}{kind}: {p.bits:.1f} bits, {p.recovered:z.2f}{by}"


def _legend(points: Sequence[ParetoPoint], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Lines with the number of their point, which further lines do not have."""
    for number, p in enumerate(points, 1):
        for i, line in enumerate(wrap(_described(p, names), LETTERS)):
            yield ("" if i else str(number)), line


def _frame(axes: Axes) -> Iterator[str]:
    bottom = TOP + HIGH
    yield f'<rect x="{LEFT}" y="{TOP}" width="{WIDE}" height="{HIGH}" fill="none" stroke="#bbbbbb"/>'
    for share in (0.0, 1.0):
        y = axes.y(share)
        yield f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + WIDE}" y2="{y}" stroke="#dddddd" stroke-dasharray="4 3"/>'
    for bits, number in ticks(0, axes.bits, 6):
        yield text(axes.x(bits), bottom + 15, number, "middle", ' font-size="12"')
    for share, number in ticks(axes.low, axes.high, 8):
        yield text(LEFT - 6, axes.y(share) + 4, number, "end", ' font-size="12"')
    yield text(LEFT + WIDE / 2, bottom + 31, "bits kept", "middle", ' font-size="12"')
    yield text(12, TOP - 7, "recovered", "start", ' font-size="12"')


def _span(p: ParetoPoint, spans: Mapping[str, Interval], axes: Axes) -> tuple[float, float, float] | None:
    """Where a claim's interval stands: x, its upper and its lower end."""
    span = spans.get(p.hypothesis) if p.kind == CLAIM else None
    if span is None or span.low is None or span.high is None:
        return None
    return axes.x(p.bits), axes.y(span.high), axes.y(span.low)


def _spans(points: Sequence[ParetoPoint], spans: Mapping[str, Interval], axes: Axes) -> Iterator[str]:
    for p in points:
        if ends := _span(p, spans, axes):
            x, top, low = ends
            yield f'<line x1="{x}" y1="{low}" x2="{x}" y2="{top}" stroke="{BLUE}"/>'


def _labels(points: Sequence[ParetoPoint], spans: Mapping[str, Interval], axes: Axes) -> Iterator[str]:
    """The numbers of the legend beside their points; those of points that lie on each other together."""
    lines = [ends for p in points if (ends := _span(p, spans, axes))]
    taken = [Room(x - 2, top, x + 2, low) for x, top, low in lines]
    frame = Room(LEFT, TOP, LEFT + WIDE, TOP + HIGH)
    for found in labelled([(axes.x(p.bits), axes.y(p.recovered or 0.0)) for p in points], frame, taken):
        if found.far:
            ends = f'x1="{found.of_x}" y1="{found.of_y}" x2="{found.x}" y2="{found.y}"'
            yield f'<line {ends} stroke="{GREY}" stroke-width="0.7"/>'
        halo, pen = ' stroke="#ffffff" stroke-width="3"', ""
        for look in (halo, pen) if found.far else (pen,):
            yield text(found.x, round(found.y + 4.5, 1), found.words, "middle", f' font-weight="bold"{look}')


def _mark(p: ParetoPoint, axes: Axes, described: str) -> str:
    x, y = axes.x(p.bits), axes.y(p.recovered or 0.0)
    colour = BLUE if p.kind == CLAIM else GREY
    look = f'fill="{"#ffffff" if p.dominated_by else colour}" stroke="{colour}" stroke-width="2"'
    name = f"<title>{escape(described)}</title>"
    if p.kind == CLAIM:
        return f'<circle cx="{x}" cy="{y}" r="5" {look}>{name}</circle>'
    return f'<rect x="{round(x - 4, 1)}" y="{round(y - 4, 1)}" width="8" height="8" {look}>{name}</rect>'
