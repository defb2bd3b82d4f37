# Rows come from files that no type checker reads: their types are checked here.
# pyright: reportUnnecessaryIsInstance=false
"""The pool: rows of tokens, named positions and columns, of any mixture of lengths.

    Dataset.from_rows([{"tokens": [5, 9], "positions": {"END": -1}, "columns": {"io": " Mary"}}])

Rows for a computation graph have columns alone: every input node is read from the column of its name.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, field, frozen

from scrub.anatomy.positions import ALL, Slot, locate
from scrub.claims.content import fit, shown, stable
from scrub.claims.plain import RepeatedKeyError, distinct
from scrub.claims.text import Marked, Tokenizer, bos_note, mark, open_tokenizer, said, tokenize
from scrub.claims.values import fixed
from scrub.errors import DataError, did_you_mean, row_errors, some

if TYPE_CHECKING:  # a check need not wait for its import
    from jaxtyping import Int, UInt64

_KEYS = ("tokens", "positions", "columns")
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


def _rows(rows: Any) -> tuple[Row, ...]:
    listed = tuple(rows) if isinstance(rows, Iterable) else (rows,)
    if wrong := [row for row in listed if not isinstance(row, Row)]:
        raise DataError(
            f"Dataset(...) takes rows, found {wrong[0]!r}: use Dataset.from_rows, from_jsonl or from_text."
        )
    return listed


@frozen(slots=False, eq=False)
class Dataset:
    """A tuple of rows. Everything derived from them is computed once and kept; nothing of it can be written to.

    Where rows were taken from a larger data set, that is `whole`, and `numbers` are theirs in it: row numbers that
    stand in a column (partners) count the rows of `whole`. `notes` are what was noticed as the rows were made;
    checks of claims tell them.
    """

    rows: tuple[Row, ...] = field(converter=_rows)
    whole: Dataset | None = field(default=None, kw_only=True, repr=False)
    numbers: Int[np.ndarray, " row"] | None = field(default=None, kw_only=True, repr=False)
    notes: tuple[str, ...] = field(default=(), kw_only=True, repr=False)
    # kept by slot, for these rows
    _located: dict[Slot, Int[np.ndarray, " row"]] = field(factory=dict, init=False, repr=False)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Dataset:
        """Rows from Python: each a mapping with `tokens`, `positions` and `columns`.

        Positions count from 0, negative ones from the row's end. Raises DataError with every problem found,
        row numbers included.
        """
        if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
            raise DataError(f"from_rows takes a list of rows, each a mapping, found {type(rows).__name__}.")
        found: list[Row] = []
        problems: list[tuple[int, str]] = []
        for number, raw in enumerate(rows):
            row, wrong = _parse_row(raw)
            found.append(row)
            problems += [(number, problem) for problem in wrong]
        if problems:
            raise DataError(row_errors(problems))
        if len({bool(row.tokens) for row in found}) > 1:
            without = [i for i, row in enumerate(found) if not row.tokens]
            raise DataError(f"rows {some(without)} have no tokens, the others have.")
        return cls(found)

    @classmethod
    def from_jsonl(cls, path: str | Path) -> Dataset:
        """Rows from a file with one JSON object a line, with the keys of `from_rows`. Raises DataError."""
        rows: list[Any] = []
        if not isinstance(path, str | Path):
            raise DataError(f"from_jsonl takes the path of a file, found {path!r}.")
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise DataError(f"{path} cannot be read: it is no text in UTF-8.") from None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line, object_pairs_hook=distinct))
            except RepeatedKeyError as error:
                raise DataError(f"{path}:{number}: {error}") from None
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: no JSON object: {error.msg}.") from None
            except ValueError:  # the one other thing that the library refuses
                raise DataError(f"{path}:{number}: an integer of more than 4,300 digits: write it as text.") from None
            except RecursionError:
                raise DataError(f"{path}:{number}: the row is nested too deeply to be read.") from None
        try:
            return cls.from_rows(rows)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    @classmethod
    def from_text(
        cls,
        texts: Sequence[str],
        *,
        tokenizer: Tokenizer | str | Path,
        columns: Mapping[str, Sequence[Any]] | None = None,
        bos: bool | None = None,
    ) -> Dataset:
        """Rows from texts with marks: `"When{IO| Mary} and{S1| John} left"` names each span's last token.

        `columns` gives a list of values for each column. `bos=True` begins each text with the tokenizer's token
        for that; unsaid, none is added, and checks tell where the tokenizer would by default. No other special
        tokens are added. Raises DataError when a mark splits a token or a column has the wrong length.
        """
        if isinstance(texts, str):
            raise DataError("from_text takes a list of texts, found a single string.")
        if not isinstance(texts, Iterable):
            raise DataError(f"from_text takes a list of texts, found {type(texts).__name__}.")
        texts = list(texts)
        if wrong := [(i, text) for i, text in enumerate(texts) if not isinstance(text, str)]:
            raise DataError(f"text {wrong[0][0]}: {wrong[0][1]!r} is no text.")
        for number, text in enumerate(texts):
            with _told(f"text {number}: "):
                fit(text)
        _lists(columns)
        marked = [mark(text, number) for number, text in enumerate(texts)]
        lengths = {name: len(values) for name, values in (columns or {}).items() if len(values) != len(texts)}
        if lengths:
            raise DataError(
                f"{len(texts)} texts, but " + ", ".join(f"column {n!r} has {k} values" for n, k in lengths.items())
            )
        used = open_tokenizer(tokenizer)
        found = tokenize(marked, used, said(bos))
        made = cls.from_rows(
            {"tokens": tokens, "positions": positions, "columns": _row_of(columns, number)}
            for number, (tokens, positions) in enumerate(found)
        )
        return made if bos is not None else evolve(made, notes=bos_note(found, used))

    def with_tokens(self, positions: str) -> Dataset:
        """The rows with the token id at each named position as a column: `with_tokens("IO S1")` adds `IO_token`.

        Raises DataError for a position that some row does not have, and for a column that is there already.
        """
        if not isinstance(positions, str):
            raise DataError(f"with_tokens takes names of positions, such as 'IO S1', found {positions!r}.")
        names = positions.replace(",", " ").split()
        problems: list[str] = []
        for name in names:
            if missing := [i for i, row in enumerate(self.rows) if name not in row.positions]:
                near = "" if name in self.position_names else did_you_mean(name, self.position_names)
                problems.append(f"position {name!r} is missing in rows {some(missing)}.{near}")
            if (column := f"{name}_token") in self.columns:
                problems.append(f"the data have a column {column!r} already: rename it.")
        if problems:
            raise DataError("\n".join(problems))
        added = [{f"{name}_token": row.tokens[row.positions[name]] for name in names} for row in self.rows]
        rows = [evolve(row, columns=row.columns | new) for row, new in zip(self.rows, added, strict=True)]
        return evolve(self, rows=rows, whole=None if self.whole is None else self.whole.with_tokens(positions))

    def only(self, columns: Collection[str]) -> Dataset:
        """The rows with some of their columns, all positions kept; a column that a row lacks is no matter."""
        rows = [evolve(row, columns={n: v for n, v in row.columns.items() if n in columns}) for row in self.rows]
        return Dataset(rows, whole=None if self.whole is None else self.whole.only(columns), numbers=self.numbers)

    def taken(self, rows: Iterable[int]) -> Dataset:
        """Some of the rows, by number. Raises DataError for what is no number of a row."""
        numbers = list(rows) if isinstance(rows, Iterable) else [rows]
        for row in numbers:
            if not isinstance(row, int | np.integer) or not -len(self) <= row < len(self):
                raise DataError(f"taken({row!r}): the data have rows 0 to {len(self) - 1}.")
        listed = np.array(numbers, dtype=np.int64)
        return Dataset(
            [self.rows[row] for row in listed],
            whole=self.origin,
            numbers=listed if self.numbers is None else self.numbers[listed],
        )

    @property
    def origin(self) -> Dataset:
        """The data set that these rows were taken from; itself where they are all."""
        return self if self.whole is None else self.whole

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        tokens = f"{min(self.lengths)} to {max(self.lengths)} tokens" if self.has_tokens else "no tokens"
        return f"Dataset({len(self)} rows, {tokens}, columns {', '.join(self.columns)})"

    @cached_property
    def has_tokens(self) -> bool:
        return any(row.tokens for row in self.rows)

    @cached_property
    def lengths(self) -> Int[np.ndarray, " row"]:
        return fixed(np.array([len(row.tokens) for row in self.rows], dtype=np.int64))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for row in self.rows for name in row.columns))

    @cached_property
    def position_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for row in self.rows for name in row.positions))

    def column(self, name: str) -> list[Any]:
        """The values of a column. Raises DataError for an unknown one, or for rows without it."""
        if name not in self.columns:
            raise DataError(f"the data have no column {name!r}.{did_you_mean(str(name), self.columns)}")
        if missing := self.lacking(name):
            raise DataError(f"column {name!r} is missing in rows {some(missing)}.")
        return [row.columns[name] for row in self.rows]

    def lacking(self, name: str) -> list[int]:
        """The numbers of the rows without a column."""
        return [i for i, row in enumerate(self.rows) if name not in row.columns]

    def locate(self, slot: Slot) -> Int[np.ndarray, " row"]:
        """The index of a slot in every row, -1 where a row does not have it. Not to be written to."""
        if slot not in self._located:
            found = [locate(slot, row.positions, len(row.tokens)) for row in self.rows]
            self._located[slot] = fixed(np.array([-1 if i is None else i for i in found], dtype=np.int64))
        return self._located[slot]

    @cached_property
    def identities(self) -> UInt64[np.ndarray, " row"]:
        """A 64-bit number a row: the digest of its content and its ordinal among equal rows. Draws use it.

        Raises DataError for a row that holds what has no content.
        """
        seen: Counter[bytes] = Counter()
        found: list[int] = []
        for number, row in enumerate(self.rows):
            with _told(f"row {number}: "):
                content = row.digest
            tag = hashlib.blake2b(content + seen[content].to_bytes(8, "little"), digest_size=8).digest()
            found.append(int.from_bytes(tag, "little"))
            seen[content] += 1
        return fixed(np.array(found, dtype=np.uint64))

    @cached_property
    def order(self) -> Int[np.ndarray, " row"]:
        """Row numbers in the order of their identities: the order in which draws see the pool."""
        return fixed(np.argsort(self.identities, kind="stable"))

    @cached_property
    def digest(self) -> str:
        """Identifies the data whatever the order of the rows."""
        ordered = b"".join(int(i).to_bytes(8, "little") for i in self.identities[self.order])
        return hashlib.blake2b(ordered, digest_size=16).hexdigest()


DataSource = Dataset | Callable[..., Dataset]


def _lists(columns: Any) -> None:
    """Raises DataError unless every column has a list of values."""
    if columns is not None and not isinstance(columns, Mapping):
        raise DataError(f"columns must be a mapping from names to lists, not {type(columns).__name__}.")
    for name, values in (columns or {}).items():
        if isinstance(values, str) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
            raise DataError(f"column {name!r}: give a list with a value for each text, found {values!r}.")


def _row_of(columns: Mapping[str, Sequence[Any]] | None, number: int) -> dict[str, Any]:
    return {name: values[number] for name, values in (columns or {}).items()}


def _parse_row(raw: Any) -> tuple[Row, list[str]]:
    if not isinstance(raw, Mapping):
        return Row((), {}, {}), [f"{type(raw).__name__} is no row: give a mapping with {', '.join(_KEYS)}."]
    problems = [f"unknown key {shown(k)}.{did_you_mean(str(k), _KEYS)}" for k in raw if k not in _KEYS]
    problems += [BATCHED] if "input_ids" in raw or "attention_mask" in raw else []
    tokens, no_tokens = _parse_tokens(raw.get("tokens", ()))
    positions, wrong = _parse_positions(raw.get("positions", {}), len(tokens))
    problems += no_tokens or wrong
    columns = raw.get("columns", {})
    if not isinstance(columns, Mapping):
        return Row(tokens, positions, {}), [
            *problems,
            f"columns must be a mapping, not {type(columns).__name__}.",
        ]
    found, unfit = _parse_columns(columns)
    return Row(tokens, positions, found), problems + unfit


def _parse_columns(raw: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
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
def _told(where: str) -> Generator[None]:
    """Within, what is wrong with a value is told with its place. Raises DataError."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"{where}{error}.") from None


def _parse_tokens(raw: Any) -> tuple[tuple[int, ...], list[str]]:
    listed = raw.tolist() if hasattr(raw, "tolist") else raw
    if not isinstance(listed, Iterable):
        return (), [f"tokens must be a list of ids, found {shown(listed)}."]
    tokens = [t.item() if isinstance(t, np.generic) else t for t in listed]
    wrong = [t for t in tokens if not isinstance(t, int) or isinstance(t, bool) or not 0 <= t < MOST]
    if wrong:
        return (), [f"tokens must be ids (non-negative ints), found {shown(wrong[0])}."]
    return tuple(tokens), []


def _parse_positions(raw: Any, length: int) -> tuple[dict[str, int], list[str]]:
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


__all__ = ["DataSource", "Dataset", "Marked", "Row", "Tokenizer"]
