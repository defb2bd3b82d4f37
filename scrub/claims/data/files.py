"""Records from files of CSV and JSON, each with the line on which it begins."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from attrs import frozen

from scrub.claims.plain import RepeatedKeyError, distinct, from_plain
from scrub.errors import DataError, did_you_mean, row_errors

JSON_ERRORS = (RepeatedKeyError, ValueError, RecursionError)
_OBJECTS = re.compile(r"\s*\[\s*\{")
_OBJECT = re.compile(r"^\s*\{", re.MULTILINE)
_SPACE = re.compile(r"\s*")
_BOOLS = {"True": True, "true": True, "TRUE": True, "False": False, "false": False, "FALSE": False}


class Missing:
    """What a cell without a value holds."""

    def __repr__(self) -> str:
        return "no value"

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


@frozen
class RawRow:
    """What a row is read from: its values by key, and its place, a line of a file or a row number."""

    place: int
    values: Any


def _beside(path: Path) -> str:
    """Which file of the same folder may be meant, where there is no such file."""
    try:
        return "" if path.exists() else did_you_mean(path.name, (file.name for file in path.parent.iterdir()), 0.7)
    except OSError:
        return ""


def text_of(path: Any, reader: str = "a file") -> str:
    """The text of a file. Raises DataError where it cannot be read."""
    if not isinstance(path, str | Path):
        raise DataError(f"{reader} takes the path of a file, found {path!r}.")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.{_beside(Path(path))}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} cannot be read: it is no text in UTF-8: save it so.") from None
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}.") from None


def json_records(path: Any, reader: str = "from_json") -> list[RawRow]:
    """Records of a file that holds an array, an object with one array of objects, or one object a line.

    Raises DataError: of lines, with all that cannot be read.
    """
    text = text_of(path, reader)
    start = text.lstrip()
    if start.startswith("["):
        return list(_array(text, len(text) - len(start), path))
    if start.startswith("{") and (listed := _listed(text)) is not None:
        return [RawRow(number, values) for number, values in enumerate(listed)]
    return json_lines(path, text)


def only_lines(path: Any) -> list[RawRow]:
    """Records of a file that is nothing but one JSON object a line. Raises DataError, naming who reads another."""
    text = text_of(path, "from_jsonl")
    other = "from_csv" if Path(path).suffix in (".csv", ".tsv") else "from_json" if _OBJECTS.match(text) else ""
    if other:
        what = "a table" if other == "from_csv" else "an array"
        raise DataError(
            f"{path} is {what}, and rows are read here as one JSON object a line: Dataset.{other} reads it, and "
            "its to_jsonl(FILE) writes such lines."
        )
    try:
        return json_lines(path, text)
    except DataError as error:
        if _OBJECT.search(text):
            raise
        such = '{"tokens": [5, 9], "columns": {"answer": 9}}'
        raise DataError(f"{error}\nA file of rows holds one JSON object a line, such as {such}.") from None


def some_rows(records: Sequence[RawRow], path: Any, holds: str) -> Sequence[RawRow]:
    """The records of a file. Raises DataError where there are none, with what it `holds` instead."""
    if not records:
        raise DataError(f"{path} holds {holds} and no rows: a claim takes at least 30 of them.")
    return records


def json_lines(path: Any, text: str) -> list[RawRow]:
    """Records of a file with one JSON object a line. Raises DataError with every line that is none."""
    found: list[RawRow] = []
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(RawRow(number, json.loads(line, object_pairs_hook=_object)))
        except JSON_ERRORS as error:
            problems.append((number, _said(error)))
    if problems:
        raise DataError(row_errors(problems, f"{path}:"))
    return found


def _array(text: str, start: int, path: Any) -> Iterator[RawRow]:
    """The elements of an array, each with its line."""
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    at, line, counted = _next(text, start + 1), 1, 0
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except JSON_ERRORS as error:
            raise DataError(f"{path}:{getattr(error, 'lineno', line)}: {_said(error)}") from None
        yield RawRow(line, value)
        at = _next(text, at)
        if text[at : at + 1] not in (",", "]"):
            raise DataError(f"{path}:{line}: neither a comma nor the end of the array follows this object.")
        at = _next(text, at + 1) if text[at] == "," else at
    if rest := text[at + 1 :].strip():
        raise DataError(f"{path}: {rest[:20]!r} stands behind the end of the array.")


def _next(text: str, at: int) -> int:
    """Where white space ends."""
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _listed(text: str) -> list[Any] | None:
    """The one array of objects in a file that is a single object, as auto-circuit's `{"prompts": [...]}`."""
    try:
        whole = json.loads(text, object_pairs_hook=_object)
    except JSON_ERRORS:
        return None
    lists = [v for v in whole.values() if isinstance(v, list) and v and all(isinstance(one, Mapping) for one in v)]
    return lists[0] if len(lists) == 1 and not {"text", "tokens"} & {*whole} else None


def _object(pairs: list[tuple[str, Any]]) -> Any:
    """An object of JSON; one that stands for a Fraction, or for a number that JSON lacks, is that."""
    found = distinct(pairs)
    if len(found) == 1 and ("fraction" in found or "float" in found):
        try:
            return from_plain(found, floats=True)
        except ValueError:
            return found
    return found


def _said(error: Exception) -> str:
    if isinstance(error, RepeatedKeyError):
        return str(error)
    if isinstance(error, RecursionError):
        return "the row is nested too deeply to be read."
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON object: {error.msg}."
    return "an integer of more than 4,300 digits: write it as text."  # the one other thing that the library refuses


def csv_records(path: Any) -> list[RawRow]:
    """Records of a file of comma- or tab-separated values with a header, read as text; an empty cell is no value.

    A column of nothing but `True` and `False` holds bools. Nothing else is converted: the answer 12 of a sum is a
    word, not token 12. Raises DataError with every line that has more or fewer cells than the header.
    """
    (_, header), *lines = _lines(path)
    if twice := [name for name in dict.fromkeys(header) if header.count(name) > 1]:
        raise DataError(f"{path}:1: the header names {', '.join(map(repr, twice))} twice.")
    wrong = [(n, f"{len(c)} cells, and the header has {len(header)}.") for n, c in lines if len(c) != len(header)]
    if wrong:
        raise DataError(row_errors(wrong, f"{path}:"))
    bools = {name for i, name in enumerate(header) if all(c[i] in {*_BOOLS, ""} for _, c in lines)}
    return [RawRow(number, _cells(header, cells, bools)) for number, cells in lines]


def _lines(path: Any) -> list[tuple[int, list[str]]]:
    """The cells of each line that has any, and its number: a cell may hold line ends."""
    text = StringIO(text_of(path, "from_csv"), newline="")
    rows = csv.reader(text, delimiter="\t" if str(path).endswith(".tsv") else ",", strict=True)
    found: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in rows:
            found += [(begins, cells)] if cells else []
            begins = rows.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{begins}: no row of a table: {error}.") from None
    if not found:
        raise DataError(f"{path} is empty: its first line names the columns.")
    return found


def _cells(header: Sequence[str], cells: Sequence[str], bools: set[str]) -> dict[str, Any]:
    return {k: _cell(v, k in bools) for k, v in zip(header, cells, strict=True)}


def _cell(text: str, is_bool: bool) -> Any:
    return MISSING if not text else _BOOLS[text] if is_bool else text
