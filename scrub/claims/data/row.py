# Rows come from files that no type checker reads: their types are checked here.
# pyright: reportUnnecessaryIsInstance=false
"""A row: its tokens, named positions and columns, read from a mapping with these three keys."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from attrs import frozen

from scrub.anatomy.positions import ALL
from scrub.claims.content import fit, shown, stable
from scrub.errors import DataError, did_you_mean, row_errors, some

KEYS = ("tokens", "positions", "columns")
MOST = 2**63  # no vocabulary has as many tokens, and no array holds more
BATCHED = "a row is its own tokens without padding: tokens=[t for t, m in zip(input_ids, attention_mask) if m]."


@frozen
class Row:
    """One example. `positions` are indices into `tokens`; a computation graph's row has no tokens."""

    tokens: tuple[int, ...]
    positions: dict[str, int]
    columns: dict[str, Any]

    @property
    def digest(self) -> bytes:
        """Sixteen bytes that depend on the model's inputs, the named positions and the columns alone.

        What a column holds is told by its content (`scrub.claims.content`). Raises ValueError for what has none.
        """
        text = stable((self.tokens, self.positions, self.columns))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    @property
    def input_digest(self) -> str:
        """Sixteen hex characters that identify the model's input: the tokens alone, or without tokens the columns.

        Columns and positions that are added to a row of tokens leave it as it is.
        """
        text = stable(self.tokens or self.columns)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def parsed_rows(raws: Iterable[tuple[int, Any]], what: str = "row") -> tuple[Row, ...]:
    """Rows from mappings, each beside its place. Raises DataError with every problem, and its place."""
    made = [(place, *parse_row(raw)) for place, raw in raws]
    if problems := [(place, problem) for place, _, wrong in made for problem in wrong]:
        raise DataError(row_errors(problems, what))
    one_kind([place for place, _, _ in made], rows := tuple(row for _, row, _ in made), what)
    return rows


def one_kind(places: Iterable[int], rows: tuple[Row, ...], what: str) -> None:
    """Raises DataError where some rows have tokens and others have none."""
    without = [place for place, row in zip(places, rows, strict=True) if not row.tokens]
    if 0 < len(without) < len(rows):
        before = f"rows {some(without)}" if what == "row" else f"{what.removesuffix(':')}: {some(without)}"
        raise DataError(f"{before} have no tokens, the others have.")


def unknown_key(key: object, known: Collection[str]) -> str:
    return f"unknown key {shown(key)}; the keys are {', '.join(known)}.{did_you_mean(str(key), known)}"


def parse_row(raw: Any) -> tuple[Row, list[str]]:
    """A row, and what is wrong with it."""
    if not isinstance(raw, Mapping):
        return Row((), {}, {}), [f"{type(raw).__name__} is no row: give a mapping with {', '.join(KEYS)}."]
    problems = [unknown_key(k, KEYS) for k in raw if k not in KEYS]
    problems += [BATCHED] if "input_ids" in raw or "attention_mask" in raw else []
    tokens, no_tokens = parse_tokens(raw.get("tokens", ()))
    positions, wrong = parse_positions(raw.get("positions", {}), len(tokens))
    problems += no_tokens or wrong
    columns = raw.get("columns", {})
    if not isinstance(columns, Mapping):
        return Row(tokens, positions, {}), [
            *problems,
            f"columns must be a mapping, not {type(columns).__name__}.",
        ]
    found, unfit = parse_columns(columns)
    return Row(tokens, positions, found), problems + unfit


def parse_columns(raw: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in raw.items():
        try:
            fit(str(name))
            fit(value)
            found[str(name)] = _plain(value)
        except ValueError as error:
            problems.append(f"column {shown(str(name))}: {error}.")
    return found, problems


@contextmanager
def told(where: str) -> Generator[None]:
    """Within, what is wrong with a value is told with its place. Raises DataError."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"{where}{error}.") from None


def parse_tokens(raw: Any) -> tuple[tuple[int, ...], list[str]]:
    listed = raw.tolist() if hasattr(raw, "tolist") else raw
    if not isinstance(listed, Iterable):
        return (), [f"tokens must be a list of ids, found {shown(listed)}."]
    tokens = [t.item() if isinstance(t, np.generic) else t for t in listed]
    wrong = [t for t in tokens if not isinstance(t, int) or isinstance(t, bool) or not 0 <= t < MOST]
    if wrong:
        return (), [f"tokens must be ids (non-negative ints), found {shown(wrong[0])}."]
    return tuple(tokens), []


def parse_positions(raw: Any, length: int) -> tuple[dict[str, int], list[str]]:
    if not isinstance(raw, Mapping):
        return {}, [f"positions must be a mapping from names to indices, not {type(raw).__name__}."]
    found: dict[str, int] = {}
    problems: list[str] = []
    for name, value in raw.items():
        index = value.item() if isinstance(value, np.generic) else value
        if not str(name).isidentifier() or name == ALL.name:
            problems.append(f"position {name!r} must be named by an identifier other than 'all'.")
        elif not isinstance(index, int) or isinstance(index, bool):
            problems.append(f"position {name!r} must be an int, found {shown(index)}.")
        elif not -length <= index < length:
            problems.append(f"position {name!r} is {shown(index)}, but the row has {length} tokens.")
        else:
            found[str(name)] = index % length
    return found, problems


def _plain(value: Any) -> Any:
    """Column values as plain Python: numpy scalars converted, lists as tuples."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(_plain(part) for part in value) if isinstance(value, list | tuple) else value
