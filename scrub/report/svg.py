"""The words of pictures."""

from __future__ import annotations

from html import escape


def text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    """Words at a place, escaped; `anchor` is `start`, `middle` or `end`, `more` other attributes."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{escape(words)}</text>'
