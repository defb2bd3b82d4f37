"""The circuits of sub-skills as heat maps: with shades in a terminal, with colours in a notebook, and as a table."""

from __future__ import annotations

from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

from attrs import evolve

from scrub.report.fixed import fixed
from scrub.report.heat import Grid, Look, Scale, drawn, html_grid
from scrub.report.page.words import share
from scrub.report.skills import CIRCUITS_HEAD, circuit_row, headline, settings, specific
from scrub.report.text import WIDTH, table

if TYPE_CHECKING:
    import pandas as pd

    from scrub.score.skill_matrix import SkillCell, SkillMatrix

SCALE = Scale(most=1.0, power=0, decimals=2)


def matrix_text(matrix: SkillMatrix) -> str:
    """A headline, the heat map, a line for each circuit, and whether circuits are their skills' own."""
    return "\n".join(matrix_lines(matrix))


def matrix_lines(matrix: SkillMatrix) -> list[str]:
    stored = matrix.to_dict()
    return [
        headline(stored), *(f"  {line}" for line in drawn(_grid(matrix), _look)), "",
        *table([CIRCUITS_HEAD, *map(circuit_row, stored["circuits"])], "  "),
        *(f"  {line}" for text in (*specific(stored), settings(stored)) for line in wrap(text, WIDTH)),
    ]  # fmt: skip


def matrix_html(matrix: SkillMatrix) -> str:
    """The heat map with coloured cells, intervals in their titles, and the words of the terminal below it."""
    stored = matrix.to_dict()
    below = [*table([CIRCUITS_HEAD, *map(circuit_row, stored["circuits"])]), *specific(stored), settings(stored)]
    heat = html_grid(_grid(matrix), _look)
    return f"<div><strong>{escape(headline(stored))}</strong>{heat}{fixed(chr(10).join(below))}</div>"


def matrix_frame(matrix: SkillMatrix) -> pd.DataFrame:
    import pandas as pd

    lines = [{"circuit": c.skill, **cell.to_dict()} for c in matrix.circuits for cell in c.cells]
    return pd.json_normalize(lines)


def _grid(matrix: SkillMatrix) -> Grid[SkillCell]:
    cells = {(c.skill, cell.skill): cell for c in matrix.circuits for cell in c.cells if cell.share.value is not None}
    return Grid("circuit of", tuple(c.skill for c in matrix.circuits if c.cells), matrix.skills, cells)


def _look(cell: SkillCell) -> Look:
    look = SCALE.look(cell.effect, f"on {cell.rows} rows of {cell.skill}: {cell.share}")
    return evolve(look, number=share(cell.share.value))
