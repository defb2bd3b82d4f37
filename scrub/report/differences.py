"""Paired differences of claims as a picture: one interval a pair, and the line where claims are equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from scrub.report.svg import text

WIDE, HIGH, LETTER, TOP = 330, 26, 6.6, 34  # pixels: the plot, a pair, a letter, what stands above
SURE, OPEN = "#2166ac", "#6e7781"


def differences_svg(differences: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Differences in their JSON form, in their order; filled where one is better, else hollow."""
    pairs = [f"{names[d['a']]} - {names[d['b']]}" for d in differences]
    left = round(LETTER * max(map(len, pairs))) + 20
    known = [d[end] for d in differences for end in ("value", "low", "high") if d[end] is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    room = 0.08 * (high - low) or 1.0
    low, high = low - room, high + room

    def x(share: float) -> float:
        return round(left + (share - low) / (high - low) * WIDE, 1)

    height, width = TOP + HIGH * len(pairs) + 26, left + WIDE + 20
    told = "; ".join(f"{pair} {said(d)}" for pair, d in zip(pairs, differences, strict=True))
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="differences-title differences-desc" font-family="sans-serif" font-size="12">',
        '<title id="differences-title">Paired differences of what is recovered</title>',
        f'<desc id="differences-desc">{escape(told)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<line x1="{x(0)}" y1="{TOP - 8}" x2="{x(0)}" y2="{height - 24}" stroke="#1f2328" stroke-dasharray="4 3"/>',
        text(x(0) - 8, 16, "← second better", "end", ' fill="#57606a"'),
        text(x(0) + 8, 16, "first better →", "start", ' fill="#57606a"'),
    ]
    for share in (low + room, 0.0, high - room):
        if share == 0.0 or abs(x(share) - x(0)) > 36:
            drawn.append(text(x(share), height - 8, f"{share:z.2f}", "middle"))
    for i, (pair, d) in enumerate(zip(pairs, differences, strict=True)):
        drawn += _pair(pair, d, left, TOP + i * HIGH + HIGH // 2, x)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _pair(pair: str, d: Mapping[str, Any], left: int, y: int, x: Callable[[float], float]) -> list[str]:
    sure = d["verdict"] != "cannot tell"
    ink = SURE if sure else OPEN
    drawn = [f"<g><title>{escape(f'{pair} {said(d)}')}</title>", text(left - 12, y + 4, pair, "end")]
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
