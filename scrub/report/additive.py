"""Numbers that add up, as a picture: each bar begins where the one above it ends, the last is their sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from attrs import frozen

from scrub.report.svg import cut, text, ticks

PAD, HIGH, LETTER, WIDE = 12, 26, 7, 420  # pixels: a margin, a line, the most that a letter takes, the scale
CLAIMED, OTHER, SUM = "#2166ac", "#b8bec5", "#1f2328"
LETTERS = 40  # of a name
NUMBERS = 60  # pixels for a number beside a bar


@frozen
class Step:
    """What adds so much; `claimed` ones are coloured."""

    name: str
    value: float
    claimed: bool


def additive_svg(steps: Sequence[Step], title: str, words: str) -> str:
    """The bars from top to bottom, dotted lines where one ends and the next begins."""
    ends = [0.0]
    for step in steps:
        ends.append(ends[-1] + step.value)
    low, high = min(ends), max(ends)
    scale = WIDE / (high - low or 1.0)
    left = PAD + LETTER * max(len(cut(step.name, LETTERS)) for step in (*steps, Step("sum", 0, True))) + NUMBERS

    def x(value: float) -> float:
        return round(left + (value - low) * scale, 1)

    top = PAD + 34
    width, height = max(left + WIDE + NUMBERS, PAD * 2 + 8 * len(title)), top + HIGH * (len(steps) + 1) + 34
    body = [line for i, step in enumerate(steps) for line in _bar(step, (x(ends[i]), x(ends[i + 1])), top + HIGH * i)]
    *total, _ = _bar(Step("sum", ends[-1], True), (x(0.0), x(ends[-1])), top + HIGH * len(steps), SUM)
    body += total
    bottom = top + HIGH * (len(steps) + 1)
    for value, said in ticks(low, high, 5) if high > low else ():
        body.append(f'<path d="M{x(value)} {top}V{bottom}" stroke="#00000022"/>')
        body.append(text(x(value), bottom + 16, said, "middle"))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="11" fill="#000000">',
        f'<title id="title">{escape(title)}</title>', f'<desc id="desc">{escape(words)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(PAD, PAD + 12, title, "start", ' font-size="14" font-weight="bold"'), *body, "</svg>",
    ]) + "\n"  # fmt: skip


def _bar(step: Step, ends: tuple[float, float], y: int, colour: str = "") -> Iterator[str]:
    start, end = min(ends), max(ends)
    fill = colour or (CLAIMED if step.claimed else OTHER)
    name = cut(step.name, LETTERS)
    bold = ' font-weight="bold"' if step.claimed else ""
    yield f"<g><title>{escape(step.name)}: {step.value:+.4g}</title>"
    yield text(PAD, y + 15, name, "start", bold)
    yield f'<rect x="{start}" y="{y + 4}" width="{max(end - start, 1):.1f}" height="{HIGH - 10}" fill="{fill}"/>'
    yield text(round(end + 5, 1), y + 15, f"{step.value:+.3g}", "start") + "</g>"
    yield f'<path d="M{ends[1]} {y + HIGH - 6}v10" stroke="#57606a" stroke-dasharray="2 2"/>'
