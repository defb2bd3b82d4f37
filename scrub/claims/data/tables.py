"""Rows from tables of pandas and from whatever yields mappings, and a table from rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scrub.claims.data.files import MISSING, RawRow
from scrub.claims.data.layout import AT
from scrub.claims.data.row import Row
from scrub.claims.data.written import partners_inside
from scrub.errors import DataError, some

if TYPE_CHECKING:
    import pandas as pd


def frame_records(frame: Any) -> list[RawRow]:
    """The lines of a pandas table. Raises DataError for what is none, and for columns of one name."""
    if not hasattr(frame, "columns") or not hasattr(frame, "itertuples"):
        raise DataError(f"from_frame takes a pandas table, found {type(frame).__name__}.")
    names = [str(name) for name in frame.columns]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise DataError(f"from_frame: two columns of the table are called {twice[0]!r}: rename one.")
    cells = [[_cell(value) for value in frame.iloc[:, i].tolist()] for i in range(len(names))]
    return [RawRow(i, dict(zip(names, values, strict=True))) for i, values in enumerate(zip(*cells, strict=True))]


def _cell(value: Any) -> Any:
    """A value, or none where it is what pandas has there: NaN, NA, NaT are unlike themselves."""
    if value is None or isinstance(value, str | list | tuple | Mapping):
        return value
    try:
        return value if bool(value == value) else MISSING
    except (TypeError, ValueError):  # NA will not say; neither will an array
        return value if hasattr(value, "shape") else MISSING


def mapping_records(dataset: Any) -> list[RawRow]:
    """What yields mappings, listed. Raises DataError for a data set of several splits, and for what yields none."""
    if isinstance(dataset, Mapping):
        found = some(map(repr, dataset)) or "none"
        raise DataError(
            f"from_hf takes the rows of one split, found a mapping with {found}: give one, data['train']."
        )
    if isinstance(dataset, str) or not isinstance(dataset, Iterable):
        found = f"{dataset!r:.60}" if isinstance(dataset, str) else type(dataset).__name__
        raise DataError(f"from_hf takes a loaded data set, or what yields mappings, found {found}.")
    return [RawRow(number, values) for number, values in enumerate(dataset)]


def frame_of(rows: Sequence[Row], whole: bool) -> pd.DataFrame:
    """The rows as a table of objects, so that True, 1 and None stay what they are."""
    import pandas as pd

    partners_inside(rows, whole)
    flat = [_flat(row) for row in rows]
    names = dict.fromkeys(name for line in flat for name in line)
    cells = {name: [line.get(name, pd.NA) for line in flat] for name in names}
    return pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in cells.items()})


def _flat(row: Row) -> dict[str, Any]:
    if clash := [name for name in row.columns if name == "tokens" or name.startswith(AT)]:
        raise DataError(f"a table has tokens and positions under names like {clash[0]!r}: rename that column first.")
    tokens = {"tokens": row.tokens} if row.tokens else {}
    return {**tokens, **{AT + name: index for name, index in row.positions.items()}, **row.columns}
