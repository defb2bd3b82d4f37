"""Circuits in files: what peers write is read, and our own JSON is written.

`read_parts` tells by the content what a file is: a graph of EAP-IG or MIB (`formats.graph`), names of components
and edges, one a line or a list, of auto-circuit, EAP-IG or ours (`formats.named`), edges between hooks of ACDC
(`formats.hooks`), pairs of TransformerLens (`formats.pairs`), or our JSON (`formats.own`). Blank lines and what
follows a `#` are passed over. A position that a file gives as an integer is that index in a row.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scrub.anatomy.edges import Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.circuit.formats import graph as graphs
from scrub.circuit.formats import hooks, named, own, pairs
from scrub.circuit.formats.entries import Entry, gather
from scrub.errors import ClaimError, some

_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin")
_BINARY = (b"\x80", b"PK\x03\x04", b"\x1f\x8b")  # pickle, torch's archive, gzip
_NO_PICKLES = (
    "pickles and .pt files are not opened, because opening one runs what is in it. Export the names of the edges, "
    "one a line, or JSON (EAP-IG: graph.to_json; auto-circuit: the edges' names; ACDC: the list of edges as JSON)."
)
_KNOWN = f"""known are
  names, one a line or a JSON list: {named.EXAMPLES}
  JSON of ours: {{"nodes": ["9.6 @ END"], "edges": ["7.3 -> 9.9.q"]}}
  a graph of EAP-IG or MIB as JSON: {{"cfg": ..., "nodes": ..., "edges": {{"a9.h6->logits": {{"in_graph": true}}}}}}
  edges of ACDC, lines or JSON: {hooks.EXAMPLES}
  pairs of TransformerLens, lines or JSON: {pairs.EXAMPLES}"""


def read_parts(file: Path, graph: ModelGraph | None = None) -> Parts:
    """The parts in a file; with a computation `graph`, names are its nodes.

    Raises ClaimError for a file that cannot be read, a pickle, a form that is not known, every bad entry (the first
    ten with their lines), and a file that keeps nothing.
    """
    text = _text(Path(file))
    try:
        found = _parts(text, graph)
        named = (*found.listed, *dict(found.roles), *dict(found.made_for))
        "".join(map(str, named)).encode()
    except ClaimError as error:
        raise ClaimError(f"{file}: {error}") from None
    except UnicodeEncodeError as error:  # JSON may hold half of a character
        raise ClaimError(f"{file}: a name holds {error.object[error.start]!a}, which is no character.") from None
    if not found.listed:
        raise ClaimError(f"{file}: an empty circuit: no edge or component of the file is in the circuit.")
    return found


def write_parts(parts: Parts, file: Path) -> None:
    """Write our JSON, which `read_parts` reads back equal. Raises ClaimError when it cannot be written."""
    if not parts.listed:
        raise ClaimError(f"{file}: an empty circuit is not written, because none is read.")
    text = json.dumps(own.own_data(parts), indent=1, ensure_ascii=False) + "\n"
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ClaimError(f"{file}: cannot be written ({error.strerror or error}).") from None


def _text(file: Path) -> str:
    if file.suffix.lower() in _PICKLES:
        raise ClaimError(f"{file}: {_NO_PICKLES}")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ClaimError(f"{file}: cannot be read ({error.strerror or error}).") from None
    if content.startswith(_BINARY):
        raise ClaimError(f"{file}: {_NO_PICKLES}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ClaimError(f"{file}: this is no text. A circuit is read from names or JSON; {_KNOWN}") from None


def _parts(text: str, graph: ModelGraph | None) -> Parts:
    data, problem = _data(text)
    if isinstance(data, dict):
        return _of_object(data, graph)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(data, list | tuple | set):
        return _of_entries(_listed(data), graph)  # pyright: ignore[reportUnknownArgumentType]
    if data is not None or (text.lstrip().startswith("{") and not pairs.looks_paired(text)):
        raise ClaimError(f"{_unknown(repr(text.strip()[:90]))}{problem}")
    lines = [(i, line.partition("#")[0].strip()) for i, line in enumerate(text.splitlines(), start=1)]
    entries = [Entry(f"line {i}", _line(line)) for i, line in lines if line.strip("[](){},")]
    try:
        return _of_entries(entries, graph)
    except ClaimError as error:
        raise ClaimError(f"{error}{problem}") from None


def _data(text: str) -> tuple[Any, str]:
    """The JSON or printed value that a text is, or None and, where it begins as one, what is wrong with it."""
    if text.lstrip()[:1] not in ("[", "{", "("):
        return None, ""
    try:
        return json.loads(text), ""
    except (ValueError, RecursionError) as error:
        problem = "" if "Extra data" in str(error) else f"\nAs a whole it is no JSON: {error}."
    try:
        return ast.literal_eval(text.strip()), ""
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None, problem


def _line(text: str) -> Any:
    """A line that is a JSON list is that list, any other is itself."""
    try:
        return json.loads(text.rstrip(",")) if text.startswith("[") else text
    except (ValueError, RecursionError):
        return text


def _of_object(data: Mapping[Any, Any], graph: ModelGraph | None) -> Parts:
    if graphs.is_graph(data):
        return graphs.parts_of_graph(data)
    if own.is_own(data):
        return own.parts_of_own(data, graph)
    if data and all(isinstance(key, tuple) for key in data):  # a printed dictionary of edges
        return _of_entries(_listed(list(data.items())), graph)
    raise ClaimError(_unknown(f"an object with the keys {some(map(repr, data), 5)}" if data else "{}"))


def _listed(data: Any) -> list[Entry]:
    one = hooks.is_hooked_edge(data) or pairs.is_pair(data)
    return [Entry(f"entry {i}", value) for i, value in enumerate([data] if one else data, start=1)]


def _of_entries(entries: list[Entry], graph: ModelGraph | None) -> Parts:
    """All entries are read in the one form that the first recognizable entry has."""
    for entry in entries:
        if hooks.looks_hooked(entry.value):
            return hooks.parts_of_hooks(entries)
        if pairs.looks_paired(entry.value):
            return pairs.parts_of_pairs(entries)
        if named.looks_named(entry.value, graph):
            return Parts(tuple(gather(entries, named.FORM, lambda value: named.named_parts(value, graph))))
    if entries:
        raise ClaimError(_unknown(str(entries[0])))
    return Parts()


def _unknown(found: str) -> str:
    return f"this is no circuit that can be read; it begins with {found}. {_KNOWN[0].upper()}{_KNOWN[1:]}"
