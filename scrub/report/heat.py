"""Heat maps: numbers in rows and columns, with shades in a terminal and with colours in a notebook or a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from scrub.anatomy.names import Component
from scrub.report.text import table

WIDTH, INDENT = 118, "    "
SHADES = " ░▒▓█"
RISE, FALL = (33, 102, 172), (178, 24, 43)  # blue and red: told apart by most who do not see colours alike
MIXED = (90, 90, 90)  # grey: a size without a clear sign
Colour = tuple[int, int, int]


class Sized(Protocol):
    """What has an effect."""

    @property
    def effect(self) -> float: ...


C = TypeVar("C", bound=Sized)


@frozen
class Grid(Generic[C]):
    """Effects by row and column; `cells` lacks what is not known. `corner` says what rows and columns are."""

    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], C]


def in_layers(component: Component) -> bool:
    """Whether it stands in a grid of layers: heads, and all of a layer's attention or MLP."""
    return component.part is None and (component.traits.attends or component.traits.local)


def cell_of(component: Component) -> tuple[str, str]:
    """Its row and column there: `("3", "4")` for 3.4 and 3.4.q, `("3", "mlp")` for mlp 3."""
    return str(component.layer), str(component.unit) if component.traits.by_unit else component.kind


@frozen
class Look:
    """How a cell is shown: its number, its shade and colours, what is told of it, and whether it stands out."""

    number: str
    shade: str
    back: str
    ink: str
    title: str
    bold: bool = False


@frozen
class Scale:
    """How effects are written: all with the same decimals, three digits for the largest, times 10^`power`."""

    most: float
    power: int
    decimals: int

    @classmethod
    def of(cls, effects: Sequence[Sized]) -> Scale:
        most = max((abs(e.effect) for e in effects), default=0.0)
        if not most:
            return cls(0.0, 0, 2)
        order = math.floor(math.log10(most))
        power = order if order < -2 or order > 4 else 0
        return cls(most, power, max(0, 2 - (order - power)))

    def number(self, effect: float) -> str:
        """A signed number; a dot for what is 0 in the decimals that are shown."""
        words = f"{effect / 10**self.power:+z.{self.decimals}f}"
        return words if any(digit in words for digit in "123456789") else "·"

    def shade(self, effect: float) -> str:
        """One of five shades, by the share of the largest effect."""
        return SHADES[round(abs(effect) / self.most * (len(SHADES) - 1))] if self.most else " "

    def look(self, effect: float, title: str, mixed: bool = False, bold: bool = False) -> Look:
        """A cell of this scale; `mixed` shows a size without a sign."""
        share = effect / self.most if self.most else 0.0
        back, ink = colours(share, MIXED) if mixed else colours(share)
        number = self.number(abs(effect)).replace("+", "±") if mixed else self.number(effect)
        return Look(number, self.shade(effect), back, ink, title, bold)

    @property
    def unit(self) -> str:
        return f", numbers times 1e{self.power}" if self.power else ""


def drawn(grid: Grid[C], look: Callable[[C], Look]) -> list[str]:
    """The grid in text; columns that do not fit beside the others stand below them."""
    cells = {key: look(cell) for key, cell in grid.cells.items()}
    wide = max([*(len(cell.number) for cell in cells.values()), *map(len, grid.columns)])
    first = max(map(len, (grid.corner, *grid.rows)))
    fit = max(1, (WIDTH - len(INDENT) - first) // (wide + 3))
    lines: list[str] = []
    for start in range(0, len(grid.columns), fit):
        columns = grid.columns[start : start + fit]
        rows = [(grid.corner, *(column.rjust(wide) for column in columns))]
        for row in grid.rows:
            found = [cells.get((row, column)) for column in columns]
            texts = ["".rjust(wide) if c is None else c.number.rjust(wide) + c.shade for c in found]
            rows.append((row.rjust(first) if row.isdigit() else row, *texts))
        lines += [*([""] if lines else []), *table(rows)]
    return lines


def html_grid(grid: Grid[C], look: Callable[[C], Look]) -> str:
    """The grid as a table with coloured cells, each with its title."""
    shown = {key: look(cell) for key, cell in grid.cells.items()}
    rows = [
        f"<tr><th>{escape(row)}</th>{''.join(html_look(shown.get((row, column))) for column in grid.columns)}</tr>"
        for row in grid.rows
    ]
    return html_table((grid.corner, *grid.columns), rows)


def html_table(head: Sequence[str], rows: Sequence[str]) -> str:
    """A table of rows that are HTML already."""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f'<table style="border-collapse:collapse;margin:0.3em 0"><tr>{names}</tr>{"".join(rows)}</table>'


def html_look(shown: Look | None) -> str:
    """One coloured cell; an empty one where nothing is known."""
    if shown is None:
        return "<td></td>"
    weight = ";font-weight:bold" if shown.bold else ""
    style = f"background:{shown.back};color:{shown.ink};text-align:right;padding:2px 5px{weight}"
    return f'<td title="{escape(shown.title)}" style="{style}">{escape(shown.number)}</td>'


def colours(share: float, end: Colour | None = None) -> tuple[str, str]:
    """Background and ink for a share of the largest effect, -1 to 1: white at 0, and always readable."""
    end = end or (RISE if share > 0 else FALL)
    red, green, blue = (round(255 + (part - 255) * min(abs(share), 1.0)) for part in end)
    light = 0.2126 * _linear(red) + 0.7152 * _linear(green) + 0.0722 * _linear(blue)
    # the darker of two inks where its contrast is the higher (WCAG 2.1, relative luminance)
    return f"#{red:02x}{green:02x}{blue:02x}", "#000000" if light > 0.179 else "#ffffff"


def _linear(part: int) -> float:
    share = part / 255
    return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4
