"""The sub-skills of a claim in words and as heat maps: scores on the rows of each, and the circuits of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.errors import some
from scrub.report.fixed import fixed
from scrub.report.heat import Grid, Look, Scale, drawn, html_grid
from scrub.report.page.words import share, span
from scrub.report.text import WIDTH, options_words, table
from scrub.score.earned import WORTH
from scrub.score.skill_matrix import CLAIMED

if TYPE_CHECKING:
    import pandas as pd

    from scrub.score.skill_matrix import SkillCell, SkillMatrix

SKILLS_HEAD = ("on rows of", "rows", "recovered", "explained", "story", "")
CIRCUITS_HEAD = ("circuit of", "parts", "needed", "other seeds", "other half", "as good")
MOST = 4  # pairs of skills that are named
SCALE = Scale(most=1.0, power=0, decimals=2)
Stored = Mapping[str, Any]


def skill_row(skill: Stored) -> tuple[str, ...]:
    """A skill in its JSON form: how many rows have it, what is recovered there, explained, and right in the story."""
    story = skill["story"]
    told = story.get("note", "") if story["value"] is None else span(story)
    explained = share(skill["explained"])
    return skill["skill"], str(skill["rows"]), span(skill["recovered"]), explained, told, skill["note"]


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


def headline(matrix: Stored) -> str:
    judged = f"on the {matrix['rows']} rows on which none was looked for"
    return f"circuits of sub-skills: what each recovers by itself, {judged}"


def settings(matrix: Stored) -> str:
    return f"parts that recover {matrix['target']:.2f}, seed {matrix['seed']}; {options_words(matrix['options'])}"


def circuit_row(circuit: Stored) -> tuple[str, ...]:
    """A circuit in its JSON form: its parts, how many are needed, how reliable and how identifiable it is."""
    parts, needed, good = circuit["parts"], circuit["needed"], circuit["as_good"]
    if circuit["note"]:
        return circuit["skill"], f"none: {circuit['note']}", "", "", "", ""
    return (
        circuit["skill"], some(parts, 12), "" if needed is None else f"{len(needed)} of {len(parts)}",
        _overlap(circuit["seeds"]), _overlap(circuit["halves"]), "" if good is None else _as_good(good),
    )  # fmt: skip


def _overlap(found: Stored | None) -> str:
    if found is None:
        return ""
    spread = "" if found["least"] == found["most"] else f" ({found['least']:.2f} to {found['most']:.2f})"
    return f"{found['mean']:.2f}{spread}"


def _as_good(good: Stored) -> str:
    """`1 [1, 29] of 424`, without ends where all were tried."""
    ends = "" if good["tried"] == good["circuits"] else f" [{good['low']:,.0f}, {good['high']:,.0f}]"
    return f"{good['count']:,.0f}{ends} of {good['circuits']:,}"


def specific(matrix: Stored) -> tuple[str, ...]:
    """Whether circuits are their skills' own: on how many rows of other skills they do as well as those'."""
    asked = list(_others(matrix))
    if not asked:
        return ()
    alike = [(name, cell) for name, cell in asked if cell["less"]["low"] <= WORTH]
    if not alike:
        least = min(cell["less"]["value"] for _, cell in asked)
        own = "every skill has a circuit of its own: the others recover less on its rows"
        return (f"{own}, by {least:.2f} at least",)
    named = [f"{name} on {cell['skill']} {share(cell['share']['value'])}" for name, cell in alike]
    told = f"{len(alike)} of {len(asked)} recover as much on the rows of another skill as that skill's own"
    how = "circuits are not specific to their skills" if len(alike) == len(asked) else "some circuits are shared"
    return (f"{how}: {told} ({some(named, MOST)})",)


def _others(matrix: Stored) -> Iterator[tuple[str, Stored]]:
    """Circuits of skills on the rows of others, where they can be compared."""
    for circuit in matrix["circuits"]:
        for cell in circuit["cells"]:
            if circuit["skill"] != CLAIMED and cell["less"]["low"] is not None:
                yield circuit["skill"], cell


def _grid(matrix: SkillMatrix) -> Grid[SkillCell]:
    cells = {(c.skill, cell.skill): cell for c in matrix.circuits for cell in c.cells if cell.share.value is not None}
    return Grid("circuit of", tuple(c.skill for c in matrix.circuits if c.cells), matrix.skills, cells)


def _look(cell: SkillCell) -> Look:
    look = SCALE.look(cell.effect, f"on {cell.rows} rows of {cell.skill}: {cell.share}")
    return evolve(look, number=share(cell.share.value))
