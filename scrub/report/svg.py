"""The words of pictures, and their scales."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import ceil, floor, log10


def text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    """Words at a place, escaped; `anchor` is `start`, `middle` or `end`, `more` other attributes."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def cut(words: str, letters: int) -> str:
    """Words of at most so many letters: a name without end makes no picture without end."""
    return words if len(words) <= letters else words[: letters - 1].rstrip() + "…"


def ticks(low: float, high: float, most: int) -> Iterator[tuple[float, str]]:
    """Multiples of 1, 2 or 5 times a power of ten, as few as `most` between the ends, and how they are written."""
    least = (high - low) / most
    power = floor(log10(least))
    step, power = next((m * 10.0**p, p) for p in (power, power + 1) for m in (1, 2, 5) if m * 10.0**p >= least)
    for i in range(ceil(low / step), floor(high / step) + 1):
        yield i * step, f"{i * step:z.{max(0, -power)}f}"
