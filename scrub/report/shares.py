"""Shares that are recovered, as a picture: a claim with its interval, its controls below it, and the bar to pass."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from scrub.report.svg import text

WIDE, HIGH, LEFT, RIGHT = 310, 24, 130, 30  # pixels: narrow enough for a phone
LETTERS = 20  # of a name, which stands left of its mark
INK = {"supported": "#1a7f37", "refuted": "#cf222e", "inconclusive": "#9a6700", "undefined": "#57606a"}
CONTROL = "#6e7781"


def shares_svg(result: Mapping[str, Any]) -> str:
    """The picture of one result in its JSON form; what is undefined has no mark."""
    recovered = result["recovered"]
    marks = [("the claim", recovered, INK[result["verdict"]])]
    marks += [(control["name"], control, CONTROL) for control in result.get("controls", ())]
    if result.get("adversary"):
        marks.append(("some of its swaps", result["adversary"], INK["refuted"]))
    known = [x for _, mark, _ in marks for x in (mark["value"], mark["low"], mark["high"]) if x is not None]
    low, high = min([0.0, *known]), max([1.0, *known])

    def x(share: float) -> int:
        return LEFT + round((share - low) / (high - low) * WIDE)

    height = HIGH * len(marks) + 40
    words = "; ".join(f"{name} {_said(mark)}" for name, mark, _ in marks) + f"; the bar is {result['bar']:.2f}"
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDE + RIGHT}" height="{height}" '
        f'viewBox="0 0 {LEFT + WIDE + RIGHT} {height}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(words)}</title>",
    ]
    bar = x(result["bar"])
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawn.append(_line((x(share), 0), (x(share), height - 30), "#d0d7de"))
        drawn.append(text(x(share), height - 14, f"{share:g}", "middle"))
    drawn.append(_line((bar, 0), (bar, height - 30), "#1f2328", ' stroke-dasharray="4 3"'))
    drawn.append(text(bar, height - 1, f"bar {result['bar']:.2f}", "middle"))
    for number, (name, mark, ink) in enumerate(marks):
        drawn += _mark(name, mark, ink, number * HIGH + HIGH // 2, x)
    return "\n".join([*drawn, "</svg>"])


def _mark(name: str, mark: Mapping[str, Any], ink: str, y: int, x: Any) -> list[str]:
    short = name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
    drawn = [text(LEFT - 10, y + 4, short, "end")]
    if mark["low"] is not None and mark["high"] is not None:
        drawn.append(_line((x(mark["low"]), y), (x(mark["high"]), y), ink, ' stroke-width="5"'))
    if mark["value"] is None:
        drawn.append(text(LEFT + 8, y + 4, "undefined", "start", f' fill="{CONTROL}"'))
    else:
        words = f"<title>{_said(mark)}</title>"
        drawn.append(f'<circle cx="{x(mark["value"])}" cy="{y}" r="5" fill="{ink}">{words}</circle>')
    return drawn


def _said(mark: Mapping[str, Any]) -> str:
    if mark["value"] is None:
        return "undefined"
    spread = "" if mark["low"] is None or mark["high"] is None else f" [{mark['low']:.2f}, {mark['high']:.2f}]"
    return f"{mark['value']:.2f}{spread}"


def _line(start: tuple[int, int], end: tuple[int, int], ink: str, more: str = "") -> str:
    (x0, y0), (x1, y1) = start, end
    return f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="{ink}"{more}/>'
