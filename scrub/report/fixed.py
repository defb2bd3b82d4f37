"""Words in a fixed-width block, as the terminal has them."""

from __future__ import annotations

from html import escape

# named outright: where a notebook is exported, sheets of styles may give `pre` the font of its surroundings
FONT = "font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace"


def fixed(words: str, above: str = "0") -> str:
    """The words as they are."""
    return marked(escape(words), above)


def marked(html: str, above: str = "0") -> str:
    """The same with marks of its own in it."""
    return f'<pre style="{FONT};margin:{above} 0 0 0;overflow-x:auto">{html}</pre>'
