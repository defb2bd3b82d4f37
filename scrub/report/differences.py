"""Paired differences of claims as a picture: one interval a pair, and the line where claims are equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from scrub.report.svg import cut, text, ticks

# pixels: the plot, a pair's name and its interval, a letter, what stands above all, a margin
WIDE, HIGH, LETTER, TOP, PAD = 316, 42, 7, 28, 24
NAME = 24  # letters of a name
SURE, OPEN = "#2166ac", "#6e7781"


def differences_svg(differences: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Differences in their JSON form, in their order; filled where one is better, else hollow."""
    pairs = [f"{names[d['a']]} - {names[d['b']]}" for d in differences]
    labels = [f"{cut(names[d['a']], NAME)} - {cut(names[d['b']], NAME)}" for d in differences]
    known = [d[end] for d in differences for end in ("value", "low", "high") if d[end] is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    room = 0.08 * (high - low) or 1.0
    low, high = low - room, high + room

    def x(share: float) -> float:
        return round(PAD + (share - low) / (high - low) * WIDE, 1)

    height = TOP + HIGH * len(pairs) + 26
    width = max(WIDE, LETTER * max(map(len, labels))) + 2 * PAD
    words = "; ".join(f"{pair} {said(d)}" for pair, d in zip(pairs, differences, strict=True))
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="differences-title differences-desc" font-family="sans-serif" font-size="12">',
        '<title id="differences-title">Paired differences of what is recovered</title>',
        f'<desc id="differences-desc">{escape(words)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<line x1="{x(0)}" y1="{TOP - 8}" x2="{x(0)}" y2="{height - 24}" stroke="#1f2328" stroke-dasharray="4 3"/>',
        text(PAD, 16, "← second better", "start", ' fill="#57606a"'),
        text(PAD + WIDE, 16, "first better →", "end", ' fill="#57606a"'),
        *(text(x(share), height - 8, number, "middle") for share, number in ticks(low, high, 7)),
    ]
    for i, (pair, label, d) in enumerate(zip(pairs, labels, differences, strict=True)):
        drawn += _pair(pair, label, d, TOP + (i + 1) * HIGH - 10, x)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _pair(pair: str, label: str, d: Mapping[str, Any], y: int, x: Callable[[float], float]) -> list[str]:
    sure = d["verdict"] != "cannot tell"
    ink = SURE if sure else OPEN
    drawn = [f"<g><title>{escape(f'{pair} {said(d)}')}</title>"]
    drawn += [text(PAD // 2, y - 14, label, "start", look) for look in (' stroke="#ffffff" stroke-width="4"', "")]
    if d["low"] is not None and d["high"] is not None:
        ends = f'x1="{x(d["low"])}" y1="{y}" x2="{x(d["high"])}" y2="{y}"'
        drawn.append(f'<line {ends} stroke="{ink}" stroke-width="3"/>')
    if d["value"] is not None:
        fill = ink if sure else "#ffffff"
        place = f'cx="{x(d["value"])}" cy="{y}" r="5"'
        drawn.append(f'<circle {place} fill="{fill}" stroke="{ink}" stroke-width="2"/>')
    return [*drawn, "</g>"]


def said(d: Mapping[str, Any]) -> str:
    if d["value"] is None:
        return "undefined"
    ends = "" if d["low"] is None or d["high"] is None else f" [{d['low']:z.2f}, {d['high']:z.2f}]"
    return f"{d['value']:z.2f}{ends}, {d['verdict']}"
