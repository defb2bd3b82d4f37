"""The sub-skills of a claim in words: its scores on the rows of each, and what is said of their circuits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scrub.errors import some
from scrub.report.page.words import settings as option_words
from scrub.report.page.words import share, span
from scrub.score.earned import WORTH
from scrub.score.skill_matrix import CLAIMED

SKILLS_HEAD = ("on rows of", "rows", "recovered", "explained", "story", "")
CIRCUITS_HEAD = ("circuit of", "parts", "needed", "other seeds", "other half", "as good")
MOST = 4  # pairs of skills that are named
Stored = Mapping[str, Any]


def skill_row(skill: Stored) -> tuple[str, ...]:
    """A skill in its JSON form: how many rows have it, what is recovered there, explained, and right in the story."""
    story = skill["story"]
    told = story.get("note", "") if story["value"] is None else span(story)
    explained = share(skill["explained"])
    return skill["skill"], str(skill["rows"]), span(skill["recovered"]), explained, told, skill["note"]


def headline(matrix: Stored) -> str:
    judged = f"on the {matrix['rows']} rows on which none was looked for"
    return f"circuits of sub-skills: what each recovers by itself, {judged}"


def settings(matrix: Stored) -> str:
    return f"parts that recover {matrix['target']:.2f}, seed {matrix['seed']}; {option_words(matrix['options'])}"


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
