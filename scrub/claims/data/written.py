"""Rows as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scrub.claims.data.row import Row
from scrub.claims.data.vocab import Vocab
from scrub.claims.plain import to_plain
from scrub.errors import DataError, row_errors


def plain_rows(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Rows as JSON knows them. Raises DataError with every column that it cannot hold."""
    problems: list[tuple[int, str]] = []
    for number, row in enumerate(rows):
        columns: dict[str, Any] = {}
        for name, value in row.columns.items():
            try:
                columns[name] = to_plain(value)
            except ValueError as error:
                problems.append((number, f"column {name!r}: {error}."))
        yield {"tokens": list(row.tokens), "positions": row.positions, "columns": columns}
    if problems:
        raise DataError(row_errors(problems))


def partners_inside(rows: Sequence[Row], whole: bool) -> None:
    """Raises DataError where partners are row numbers of more rows than these."""
    numbered = any(isinstance(row.columns.get("pair"), int) for row in rows)
    if numbered and not whole:
        raise DataError(
            "the column 'pair' names partners by row numbers of the data that these rows were taken from: write all "
            "of them (data.origin), or name partners by their text in the column 'id'."
        )


def written(rows: Sequence[Row], whole: bool, vocab: Vocab | None, path: str | Path | None) -> str:
    """The rows as lines, behind one of words where there are any, written to a file where one is named.

    Raises DataError.
    """
    partners_inside(rows, whole)
    lines = [] if vocab is None else [vocab.line]
    text = "".join(f"{line}\n" for line in [*lines, *map(json.dumps, plain_rows(rows))])
    if path is not None:
        try:
            Path(path).write_text(text, encoding="utf-8")
        except (OSError, TypeError, ValueError) as error:
            raise DataError(f"{path!s:.60} cannot be written: {getattr(error, 'strerror', None) or error}.") from None
    return text
