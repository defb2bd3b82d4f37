"""Share against bits as a picture: one SVG without scripts or links; few bits and a large share are better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor
from textwrap import shorten
from typing import TYPE_CHECKING

from attrs import frozen

from scrub.report.svg import text
from scrub.score.comparison import CLAIM

if TYPE_CHECKING:
    from scrub.score.comparison import Comparison, Point
    from scrub.score.statistics import Interval

WIDE, HIGH, LEFT, TOP, LINE = 420, 260, 56, 44, 16  # pixels: the plot, its corner, a line of the legend
BLUE, GREY = "#2166ac", "#6e7781"
TICKS = 5
APART = 14  # between numbers beside points


@frozen
class Axes:
    """From bits and shares to pixels."""

    bits: float
    low: float
    high: float

    @classmethod
    def of(cls, c: Comparison) -> Axes:
        shares = [p.recovered for p in c.pareto if p.recovered is not None]
        ends = [e for h in c.hypotheses for e in (h.recovered.low, h.recovered.high) if e is not None]
        low, high = min(0.0, *shares, *ends), max(1.0, *shares, *ends)
        room = 0.05 * (high - low)
        return cls(1.05 * max(1.0, *(p.bits for p in c.pareto)), low - room, high + room)

    def x(self, bits: float) -> float:
        return round(LEFT + WIDE * bits / self.bits, 1)

    def y(self, share: float) -> float:
        return round(TOP + HIGH * (self.high - share) / (self.high - self.low), 1)


def comparison_svg(c: Comparison) -> str:
    """Claims as discs with their intervals, controls as squares; hollow where another point dominates."""
    names = {name: shorten(label, 60, placeholder="...") for name, label in c.labels.items()}
    axes, points = Axes.of(c), [p for p in c.pareto if p.recovered is not None]
    spans = {h.hypothesis: h.recovered for h in c.hypotheses}
    legend = [_told(i, p, names) for i, p in enumerate(points, 1)]
    width = max(LEFT + WIDE + 24, 24 + 7 * max(map(len, legend), default=0))
    height = TOP + HIGH + 60 + LINE * len(legend)
    title = f"Share of {c.metric} recovered against bits kept"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="pareto-title pareto-desc" font-family="sans-serif" font-size="11">',
        f'<title id="pareto-title">{escape(title)}</title>',
        f'<desc id="pareto-desc">{escape("; ".join(legend))}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(12, 24, title, "start", ' font-size="14" font-weight="bold"'),
    ]
    listed = [text(LEFT, TOP + HIGH + 56 + LINE * i, line, "start") for i, line in enumerate(legend)]
    return "\n".join([*head, *_frame(axes), *_points(points, spans, axes), *listed, "</svg>"]) + "\n"


def _told(number: int, p: Point, names: dict[str, str]) -> str:
    kind = "" if p.kind == CLAIM else " (control)"
    by = f", dominated by {names.get(p.dominated_by, p.dominated_by)}" if p.dominated_by else ""
    return f"{number}  {names.get(p.hypothesis, p.hypothesis)}{kind}: {p.bits:.1f} bits, {p.recovered:z.2f}{by}"


def _frame(axes: Axes) -> Iterator[str]:
    bottom = TOP + HIGH
    yield f'<rect x="{LEFT}" y="{TOP}" width="{WIDE}" height="{HIGH}" fill="none" stroke="#bbbbbb"/>'
    for share in (0.0, 1.0):
        y = axes.y(share)
        yield f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + WIDE}" y2="{y}" stroke="#dddddd" stroke-dasharray="4 3"/>'
    for i in range(TICKS):
        bits = axes.bits * i / TICKS
        yield text(axes.x(bits), bottom + 15, f"{bits:.1f}", "middle")
    step = 0.25 * ceil((axes.high - axes.low) / (0.25 * 2 * TICKS))
    for i in range(ceil(axes.low / step), floor(axes.high / step) + 1):
        yield text(LEFT - 6, axes.y(i * step) + 4, f"{i * step:z.2f}", "end")
    yield text(LEFT + WIDE / 2, bottom + 32, "bits kept", "middle")
    yield text(12, TOP - 6, "recovered", "start")


def _points(points: Sequence[Point], spans: dict[str, Interval], axes: Axes) -> Iterator[str]:
    taken: list[tuple[float, float]] = []
    for number, p in enumerate(points, 1):
        assert p.recovered is not None
        x, y = axes.x(p.bits), axes.y(p.recovered)
        span = spans.get(p.hypothesis) if p.kind == CLAIM else None
        if span is not None and span.low is not None and span.high is not None:
            yield f'<line x1="{x}" y1="{axes.y(span.low)}" x2="{x}" y2="{axes.y(span.high)}" stroke="{BLUE}"/>'
        yield _mark(p, x, y)
        right = x + 7
        while any(abs(right - a) < APART and abs(y - b) < APART for a, b in taken):
            right += APART
        taken.append((right, y))
        yield text(right, y - 5, str(number), "start")


def _mark(p: Point, x: float, y: float) -> str:
    colour = BLUE if p.kind == CLAIM else GREY
    fill = "#ffffff" if p.dominated_by else colour
    if p.kind == CLAIM:
        return f'<circle cx="{x}" cy="{y}" r="5" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
    return f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
