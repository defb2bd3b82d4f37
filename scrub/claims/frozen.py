"""The files of a frozen claim, read and checked field by field; errors name the file and the field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from keyword import iskeyword
from pathlib import Path
from typing import Any

from attrs import evolve, fields, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import parse_slots
from scrub.claims.data.vocab import Vocab
from scrub.claims.facts import Facts
from scrub.claims.frozen_files import CLAIM, FORMAT, PARTS, ROWS, VALUES, VOCAB
from scrub.claims.frozen_parts import FrozenParts, read_arrays
from scrub.claims.holds import HeldTable
from scrub.claims.hypothesis import Expectation, Options, recovers
from scrub.claims.metric import parse_metric
from scrub.claims.plain import from_plain
from scrub.claims.protocol import Protocol, protocol
from scrub.claims.sites import Place, Site, inside
from scrub.claims.strangers import MOST, content, parsed, printable, texts
from scrub.claims.values import Value
from scrub.errors import ClaimError, ScrubError, did_you_mean, unread

_TEXT, _LIST, _OBJECT = (str,), (list,), (dict,)
CLAIM_BYTES = 2**24
_CLOSE = 0.75  # fields are written by programs: what is merely alike is no slip of the pen
_FIELDS: dict[str, tuple[type, ...]] = {
    "format": (int,), "digest": _TEXT, "name": _TEXT, "model": _OBJECT, "variables": _LIST, "sites": _OBJECT,
    "metric": _TEXT, "expect": (dict, type(None)), "options": _OBJECT, "criteria": _OBJECT,
    "foil": (str, type(None)), "pool": (list, type(None)), "files": _OBJECT,
}  # fmt: skip
_MODEL = {"name": (str, type(None)), "graph": _TEXT, "revision": (str, type(None))}
_VARIABLE = {"name": _TEXT, "parents": _LIST, "round": (int, float, type(None))}
_SITE = {"components": _LIST, "at": _LIST, "reads": _OBJECT, "omits": _LIST, "linked": (bool,)}
_ROW = {"tokens": _LIST, "positions": _OBJECT, "columns": _OBJECT}


@frozen
class StoredVariable:
    """A variable without its function."""

    name: str
    parents: tuple[str, ...]
    step: float | None


@frozen(eq=False)
class Record:
    """All that the files hold. `rows_of_values` and `pool` are None where they are all rows."""

    folder: Path
    facts: Facts
    title: str
    digest: str
    model: str | None
    graph: str
    revision: str | None
    variables: tuple[StoredVariable, ...]
    places: dict[str, Place]
    metric: str
    expect: Expectation | None
    options: Options
    criteria: Protocol
    foil: str | None
    pool: list[Any] | None
    rows: tuple[dict[str, Any], ...]
    rows_of_values: list[Any] | None
    values: dict[str, tuple[Value, ...]]
    vocab: Vocab | None

    @property
    def file(self) -> Path:
        return self.folder / CLAIM


def read_record(folder: Path) -> Record:
    """The files of a directory. Raises ClaimError for the first thing that is wrong with them."""
    file = folder / CLAIM
    found = _json(_bytes(file, CLAIM_BYTES), file)
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise ClaimError(f"{file} is no frozen claim: it has no field 'format' with a whole number.")
    if found["format"] > FORMAT:
        raise ClaimError(
            f"{file}: field 'format' is {found['format']}, of a newer scrub: update it; this one reads {FORMAT}."
        )
    _check(found, _FIELDS, file, "")
    _printable(found, file)
    _check(found["model"], _MODEL, file, "model.")
    later = {name: _TEXT for name in (VOCAB, PARTS) if name in found["files"]}
    _check(found["files"], {ROWS: _TEXT, VALUES: _TEXT} | later, file, "files.")
    arrays = read_arrays(_unchanged(folder / PARTS, found["files"][PARTS], file), file) if PARTS in later else {}
    rows, values = (_unchanged(folder / name, found["files"][name], file) for name in (ROWS, VALUES))
    variables = tuple(_variable(v, file, f"variables[{i}].") for i, v in enumerate(found["variables"]))
    stored = _json(values, folder / VALUES)
    _check(stored, {"rows": (list, type(None)), "values": _OBJECT}, folder / VALUES, "")
    _check(stored["values"], dict.fromkeys((v.name for v in variables), _LIST), folder / VALUES, "values.")
    with _field(file, "metric"):
        parse_metric(found["metric"])
    with _field(file, "expect"):
        expect = None if found["expect"] is None else recovers(**_known(found["expect"], Expectation))
    with _field(file, "options"):
        options = evolve(Options(), **_known(found["options"], Options))
    with _field(file, "criteria"):
        criteria = protocol(**_known(found["criteria"], Protocol))
    return Record(
        folder, {name: found[name] for name in _FIELDS if name not in ("format", "digest", "pool", "files")},
        found["name"], found["digest"], found["model"]["name"], found["model"]["graph"],
        found["model"]["revision"], variables,
        {name: _place(where, FrozenParts(file, arrays), f"sites.{name}") for name, where in found["sites"].items()},
        found["metric"], expect, options, criteria, found["foil"], found["pool"],
        tuple(_rows(rows, folder / ROWS)), stored["rows"],
        {name: tuple(_values(column, folder / VALUES, name)) for name, column in stored["values"].items()},
        _vocab(_unchanged(folder / VOCAB, found["files"][VOCAB], file), folder / VOCAB) if VOCAB in later else None,
    )  # fmt: skip


def numbered(record: Record, name: str, found: list[Any], count: int) -> list[int]:
    """Row numbers below `count`. Raises ClaimError for others."""
    if wrong := [n for n in found if type(n) is not int or not 0 <= n < count]:
        raise ClaimError(f"{record.file}: field {name!r} holds {wrong[0]!r}, which is none of the {count} rows.")
    return found


def _bytes(file: Path, most: int = MOST) -> bytes:
    try:
        return content(file, most)
    except OSError as error:
        raise ClaimError(f"{file} cannot be read: {error.strerror}. A frozen claim has it.") from None


def _json(text: bytes, file: Path) -> Any:
    try:
        return parsed(text)
    except ValueError as error:
        raise ClaimError(f"{file} is no JSON that can be read: {unread(error)}.") from None


def _printable(found: Mapping[str, Any], file: Path) -> None:
    """Raises ClaimError for a string that would forge what a terminal shows; what was published may have lines."""
    for name, part in found.items():
        words = [text.replace("\n", "") if name == "criteria" else text for text in texts(part)]
        if wrong := [text for text in words if not printable(text)]:
            raise ClaimError(f"{file}: field {name!r} holds {wrong[0]!r:.60}, which cannot be printed.")


def _unchanged(file: Path, digest: str, claim: Path) -> bytes:
    """The bytes of a file, which may have met an editor or a git that ends lines by \\r\\n."""
    text = _bytes(file)
    found = hashlib.sha256(text).hexdigest()
    if found != digest:
        if file.name != PARTS and hashlib.sha256(lines := text.replace(b"\r\n", b"\n")).hexdigest() == digest:
            return lines
        raise ClaimError(
            f"{file} was changed: its digest is {found[:12]}..., field 'files.{file.name}' of {claim} says "
            f"{digest[:12]}..."
        )
    return text


def _check(found: Any, known: Mapping[str, tuple[type, ...]], file: Path, prefix: str) -> None:
    """An object with exactly these fields, each of one of its types. Raises ClaimError naming file and field."""
    if not isinstance(found, dict):
        raise ClaimError(f"{file}: field {prefix.removesuffix('.') or 'top'!r} is no object.")
    for name in found:
        if name not in known:
            raise ClaimError(f"{file}: unknown field '{prefix}{name}'.{did_you_mean(str(name), known, _CLOSE)}")
    for name, types in known.items():
        if name not in found:
            raise ClaimError(f"{file}: field '{prefix}{name}' is missing.")
        if type(found[name]) not in types:
            raise ClaimError(f"{file}: field '{prefix}{name}' is {json.dumps(found[name])[:60]}, of a wrong type.")


@contextmanager
def _field(file: Path, name: str) -> Generator[None]:
    """Errors say in which field they are."""
    try:
        yield
    except (ScrubError, ValueError, TypeError, ZeroDivisionError) as error:
        raise ClaimError(f"{file}: field {name!r}: {error}") from None


def _known(found: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    known = [f.name for f in fields(kind)]
    for name in found:
        if name not in known:
            raise ClaimError(f"unknown field {name!r}.{did_you_mean(name, known, _CLOSE)}")
    return found


def _names(found: Any, file: Path, name: str) -> tuple[str, ...]:
    if not isinstance(found, list):
        raise ClaimError(f"{file}: field '{name}' is no list of names.")
    if wrong := [one for one in found if not isinstance(one, str)]:
        raise ClaimError(f"{file}: field '{name}' holds {wrong[0]!r}, which is no name.")
    return tuple(found)


def _variable(found: Any, file: Path, prefix: str) -> StoredVariable:
    _check(found, _VARIABLE, file, prefix)
    parents = _names(found["parents"], file, f"{prefix}parents")
    if wrong := [name for name in parents if not name.isidentifier() or iskeyword(name)]:
        raise ClaimError(f"{file}: field '{prefix}parents' holds {wrong[0]!r}, which is no name of a parameter.")
    return StoredVariable(found["name"], parents, found["round"])


def _place(found: Any, written: FrozenParts, name: str) -> Place:
    if found == "inside":
        return inside
    if not isinstance(found, list) or not found:
        raise ClaimError(f"{written.file}: field '{name}' must be a list of sites, or 'inside'.")
    sites = tuple(_site(one, written, f"{name}[{i}].") for i, one in enumerate(found))
    return sites[0] if len(sites) == 1 else sites


def _site(found: Any, written: FrozenParts, prefix: str) -> Site:
    file = written.file
    later = {name: _LIST for name in ("holds", "parts") if isinstance(found, dict) and name in found}
    _check(found, _SITE | later, file, prefix)
    names = _names(found["components"], file, f"{prefix}components")
    at = _names(found["at"], file, f"{prefix}at")
    reading = tuple((c, _names(read, file, f"{prefix}reads.{c}")) for c, read in found["reads"].items())
    with _field(file, prefix.removesuffix(".")):
        components = tuple(
            written.component(name, part) if at else Component.for_node(name)
            for name, part in zip(names, found.get("parts", [None] * len(names)), strict=True)
        )
        slots = parse_slots(at) if at else ()
    if not components:
        raise ClaimError(f"{file}: field '{prefix}components' is empty.")
    omitted = _names(found["omits"], file, f"{prefix}omits")
    held = _held(found["holds"], file, f"{prefix}holds") if "holds" in later else None
    return Site(components, slots, reading, omitted, found["linked"], held)


def _held(found: list[Any], file: Path, name: str) -> HeldTable:
    """What a site's function gave: pairs of the digest of an output and a value, written as JSON."""
    entries: list[tuple[str, Value]] = []
    for i, entry in enumerate(found):
        if not isinstance(entry, list) or len(entry) != 2 or not all(isinstance(part, str) for part in entry):
            raise ClaimError(f"{file}: field '{name}[{i}]' is no pair of texts.")
        with _field(file, f"{name}[{i}]"):
            entries.append((entry[0], from_plain(parsed(entry[1].encode()))))
    return HeldTable(tuple(entries))


def _rows(text: bytes, file: Path) -> Generator[dict[str, Any]]:
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.strip():
            row = _json(line, file)
            _check(row, _ROW, file, f"line {number}.")
            if wrong := [name for part in ("positions", "columns") for name in row[part] if not printable(name)]:
                raise ClaimError(f"{file}: line {number}: the name {wrong[0]!r:.60} cannot be printed.")
            with _field(file, f"line {number}"):
                columns = {name: from_plain(value, floats=True) for name, value in row["columns"].items()}
            yield {**row, "columns": columns}


def _vocab(text: bytes, file: Path) -> Vocab:
    """Words for ids: pairs of an id and its word."""
    found = _json(text, file)
    pairs: list[Any] = found if isinstance(found, list) else [found]
    if wrong := [p for p in pairs if not isinstance(p, list) or [type(part) for part in p] != [int, str]]:
        raise ClaimError(f"{file} holds {wrong[0]!r:.60}, which is no pair of an id and its word.")
    return Vocab(dict(pairs))


def _values(column: list[Any], file: Path, name: str) -> Generator[Value]:
    for row, value in enumerate(column):
        with _field(file, f"values.{name}[{row}]"):
            yield from_plain(value)
