"""The sub-skills of a claim: its scores on the rows of each, and the circuit of each on the rows of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.report.page.blocks import Block, Words, items, table
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import capital, span
from scrub.report.skills import CIRCUITS_HEAD, SKILLS_HEAD, circuit_row, headline, settings, skill_row, specific


def blocks(stored: StoredClaim) -> list[Block | None]:
    scores = table(SKILLS_HEAD, [skill_row(skill) for skill in stored.result.get("skills", ())])
    matrix = stored.result.get("matrix")
    return [scores, *(_circuits(matrix) if matrix else ())]


def _circuits(matrix: Mapping[str, Any]) -> list[Block | None]:
    rows = [(c["skill"], *(span(cell["share"]) for cell in c["cells"])) for c in matrix["circuits"] if c["cells"]]
    return [
        table(("circuit of", *(f"on {skill}" for skill in matrix["skills"])), rows, f"{capital(headline(matrix))}."),
        table(CIRCUITS_HEAD, [circuit_row(circuit) for circuit in matrix["circuits"]]),
        items([*map(capital, specific(matrix))]),
        Words(f"{capital(settings(matrix))}.", "note"),
    ]


SECTION = ClaimSection("Sub-skills", blocks, place=3.2)
