"""Small models that come with the tool: four trained and four compiled, each with its data.

Importing this package loads no torch; `scrub.zoo.loading` does, and `scrub.model.open.zoo_bridge` runs them.
"""

from __future__ import annotations

from scrub.zoo.cards import NAMES, Card, info, shape, vocabulary
from scrub.zoo.compiled_data import (
    compiled_compose_rows,
    compiled_dormant_rows,
    compiled_induction_rows,
    compiled_or_rows,
)
from scrub.zoo.data import Prompt, addition_rows, brackets_rows, induction_rows, names_rows

__all__ = [
    "NAMES",
    "Card",
    "Prompt",
    "addition_rows",
    "brackets_rows",
    "compiled_compose_rows",
    "compiled_dormant_rows",
    "compiled_induction_rows",
    "compiled_or_rows",
    "induction_rows",
    "info",
    "names_rows",
    "rows",
    "shape",
    "vocabulary",
]

_ROWS = {
    "induction": induction_rows,
    "brackets": brackets_rows,
    "names": names_rows,
    "addition": addition_rows,
    "compiled-induction": compiled_induction_rows,
    "compiled-compose": compiled_compose_rows,
    "compiled-or": compiled_or_rows,
    "compiled-dormant": compiled_dormant_rows,
}


def rows(name: str, n: int, seed: int) -> list[Prompt]:
    """`n` rows for the model called `name`, for `Dataset.from_rows`. Raises ModelError as `info` does."""
    return _ROWS[info(name).name](n, seed)
