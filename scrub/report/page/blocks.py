"""What a page is built of: tables, pictures, words. Values only; the templates know how they look."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen
from markupsafe import Markup

_NUMBER = re.compile(r"[-+±]?[\d,.]+( ?%|e[-+]\d+)?( \[.*\])?|-|undefined|·|0|")
_WIDTH = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)"')
_NAMES = re.compile(r'\b(id|aria-labelledby)="([^"]*)"')
LONGEST = 26  # letters of a word that a table's column is as wide as
SMALLEST = 0.75  # of a picture's own size: smaller letters are not read, so that it scrolls in its box


@frozen
class Table:
    """Columns under heads; the first cell of a row names it. A column of numbers stands to the right.

    `texts` stand below their rows, as wide as the table.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    texts: tuple[str, ...] = ()
    kind: str = "table"

    @property
    def right(self) -> list[bool]:
        return [all(_NUMBER.fullmatch(row[i]) for row in self.rows) for i in range(len(self.head))]

    @staticmethod
    def unbroken(cell: str) -> bool:
        """Whether a cell has a word that would make the table too wide, and is broken anywhere."""
        return any(len(word) > LONGEST for word in cell.split())


@frozen
class Facts:
    """Names with what is known of each."""

    rows: tuple[tuple[str, str], ...]
    kind: str = "facts"


@frozen
class Picture:
    """An SVG with its caption."""

    svg: str
    caption: str
    kind: str = "picture"

    @property
    def width(self) -> float:
        found = _WIDTH.search(self.svg)
        return float(found[1]) if found else 400.0

    @property
    def least(self) -> float:
        return SMALLEST * self.width

    def drawn(self, number: int) -> Markup:
        """The picture with names of its own: several on one page must not share theirs."""

        def renamed(match: re.Match[str]) -> str:
            return f'{match[1]}="{" ".join(f"{name}-{number}" for name in match[2].split())}"'

        return Markup(_NAMES.sub(renamed, self.svg))


@frozen
class Words:
    """A paragraph; `tone` is `said`, small and grey `note`, or framed `stale`."""

    text: str
    tone: str = "said"
    kind: str = "words"


@frozen
class Items:
    """Lines that stand below each other."""

    lines: tuple[str, ...]
    kind: str = "items"


@frozen
class Code:
    """Text of fixed width; `command` is broken where it is too wide, other text scrolls."""

    text: str
    command: bool = False
    kind: str = "code"


@frozen
class Folded:
    """What is shown on demand, and, if `printed`, always in print."""

    summary: str
    blocks: tuple[Block, ...]
    printed: bool = True
    kind: str = "folded"


Block = Table | Facts | Picture | Words | Items | Code | Folded


@frozen
class Part:
    """Blocks under a heading."""

    title: str
    blocks: tuple[Block, ...]


@frozen
class Section:
    """One claim, comparison, circuit or proposal: its verdict word if it has one, a line for the list, its parts.

    `before` stands above the first heading; `stale` says what other than the page's run it was made with.
    """

    title: str
    brief: str
    before: tuple[Block, ...]
    parts: tuple[Part, ...]
    word: str | None = None
    passed: bool | None = None
    kind: str = ""
    stale: str = ""


def part(title: str, *blocks: Block | None) -> list[Part]:
    """A part, or none where nothing is in it."""
    kept = tuple(block for block in blocks if block is not None)
    return [Part(title, kept)] if kept else []


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", texts: Sequence[str] = ()
) -> Table | None:
    """A table without its empty columns, or none without rows."""
    if not rows:
        return None
    kept = [i for i in range(len(head)) if any(row[i] for row in rows)]
    cells = tuple(tuple(row[i] for i in kept) for row in rows)
    return Table(tuple(head[i] for i in kept), cells, caption, tuple(texts))


def facts(rows: Sequence[tuple[str, str] | None]) -> Facts | None:
    kept = tuple(row for row in rows if row is not None)
    return Facts(kept) if kept else None


def items(lines: Sequence[str]) -> Items | None:
    return Items(tuple(lines)) if lines else None
