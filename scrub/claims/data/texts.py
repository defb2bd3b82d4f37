"""Rows from a list of texts, and lists of values beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scrub.claims.content import fit
from scrub.claims.data.drafts import Draft, positions_of
from scrub.claims.data.row import told
from scrub.errors import DataError


def text_drafts(texts: Any, columns: Any, positions: Any) -> list[Draft]:
    """A row for each text. Raises DataError for what is no list of texts, and for columns that do not fit."""
    if isinstance(texts, str):
        raise DataError("from_text takes a list of texts, found a single string.")
    if not isinstance(texts, Iterable):
        raise DataError(f"from_text takes a list of texts, found {type(texts).__name__}.")
    texts = list(texts)
    if wrong := [(i, text) for i, text in enumerate(texts) if not isinstance(text, str)]:
        raise DataError(f"text {wrong[0][0]}: {wrong[0][1]!r} is no text.")
    for number, text in enumerate(texts):
        with told(f"text {number}: "):
            fit(text)
    columns = lists(columns, len(texts), "texts")
    places = positions_of(positions)
    return [Draft(number, text, row_of(columns, number), places) for number, text in enumerate(texts)]


def lists(columns: Any, count: int, what: str) -> Mapping[str, Sequence[Any]]:
    """Columns as lists with a value for each of what there are `count` of. Raises DataError for others."""
    if columns is not None and not isinstance(columns, Mapping):
        raise DataError(f"columns must be a mapping from names to lists, not {type(columns).__name__}.")
    found: Mapping[str, Sequence[Any]] = columns or {}
    for name, values in found.items():
        if isinstance(values, str) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
            raise DataError(f"column {name!r}: give a list with a value for each {what[:-1]}, found {values!r}.")
    if wrong := {name: len(values) for name, values in found.items() if len(values) != count}:
        raise DataError(f"{count} {what}, but " + ", ".join(f"column {n!r} has {k} values" for n, k in wrong.items()))
    return found


def row_of(columns: Mapping[str, Sequence[Any]], number: int) -> dict[str, Any]:
    """The values of one row."""
    return {name: values[number] for name, values in columns.items()}
