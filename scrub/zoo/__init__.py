"""Small models that come with the tool: three trained and three compiled, each with its data.

Importing this package loads no torch; `bridge` does.
"""

from __future__ import annotations

from typing import Any

from scrub.zoo.cards import NAMES, Card, info, shape, vocabulary
from scrub.zoo.compiled_data import compiled_compose_rows, compiled_induction_rows, compiled_or_rows
from scrub.zoo.data import Row, brackets_rows, induction_rows, names_rows

__all__ = [
    "NAMES",
    "Card",
    "Row",
    "brackets_rows",
    "bridge",
    "compiled_compose_rows",
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
    "compiled-induction": compiled_induction_rows,
    "compiled-compose": compiled_compose_rows,
    "compiled-or": compiled_or_rows,
}


def bridge(name: str) -> Any:
    """The model called `name`: a TransformerBridge in eval mode. Raises ModelError as `info` does."""
    from scrub.zoo import loading  # torch takes seconds to import, and names and shapes need none

    return loading.bridge(name)


def rows(name: str, n: int, seed: int) -> list[Row]:
    """`n` rows for the model called `name`, for `Dataset.from_rows`. Raises ModelError as `info` does."""
    return _ROWS[info(name).name](n, seed)
