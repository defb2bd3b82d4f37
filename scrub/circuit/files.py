"""Circuits in files: what peers write is read, and our own JSON is written.

`read_parts` tells by the content what a file is, by asking the forms in `scrub.circuit.formats`. Blank lines and what
follows a `#` are passed over. A position that a file gives as an integer is that index in a row.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from scrub.anatomy.edges import Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.circuit.ends import ends_of
from scrub.circuit.formats import Format, Scores, formats, tried
from scrub.circuit.formats.entries import Entry
from scrub.errors import ClaimError, some

Take = Callable[[Format, Any, ModelGraph | None], Any]  # the parts of what a form reads, or their scores
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin")
_BINARY = (b"\x80", b"PK\x03\x04", b"\x1f\x8b")  # pickle, torch's archive, gzip
_NO_PICKLES = (
    "pickles and .pt files are not opened, because opening one runs what is in it. Export the names of the edges, "
    "one a line, or JSON (EAP-IG: graph.to_json; auto-circuit: the edges' names; ACDC: the list of edges as JSON)."
)
_ATTRIBUTED = (
    "this is an attribution graph: its nodes are latents at positions, and a circuit has whole components. Write a "
    "claim about them: scrub new CLAIM.py --from-graph FILE."
)


def read_parts(file: Path, graph: ModelGraph | None = None) -> Parts:
    """The parts in a file; with a computation `graph`, names are its nodes.

    Raises ClaimError for a file that cannot be read, a pickle, a form that is not known, every bad entry (the first
    ten with their lines), and a file that keeps nothing.
    """
    text = _text(Path(file))
    try:
        found: Parts = _read(text, graph, _parts_of)
        texts = (*found.listed, *dict(found.roles), *dict(found.made_for))
        "".join(map(str, texts)).encode()
    except ClaimError as error:
        raise ClaimError(f"{file}: {error}") from None
    except UnicodeEncodeError as error:  # JSON may hold half of a character
        raise ClaimError(f"{file}: a name holds {error.object[error.start]!a}, which is no character.") from None
    if not found.listed:
        raise ClaimError(f"{file}: an empty circuit: no edge or component of the file is in the circuit.")
    return found


def read_scores(file: Path, graph: ModelGraph | None = None) -> Scores:
    """The parts in a file with their scores, in its order. Raises ClaimError as `read_parts`, and for none."""
    text = _text(Path(file))
    try:
        return _read(text, graph, _scores_of)
    except ClaimError as error:
        raise ClaimError(f"{file}: {error}") from None


def read_top(file: Path, top: int, graph: ModelGraph | None = None) -> Parts:
    """The `top` parts of a file of scores, by absolute score, ties in the order of parts. Raises ClaimError."""
    found = read_scores(file, graph)
    if isinstance(top, bool) or not 1 <= top <= len(found):
        raise ClaimError(f"{file}: top {top}: it has scores of {len(found)} parts; take 1 to {len(found)} of them.")
    ordered = sorted(found, key=lambda scored: (-abs(scored[1]), scored[0]))
    return Parts(tuple(part for part, _ in ordered[:top]))


def _parts_of(form: Format, found: Any, graph: ModelGraph | None) -> Parts:
    return form.parts(found, graph)


def _scores_of(form: Format, found: Any, graph: ModelGraph | None) -> Scores:
    if form.scores is None:
        having = "\n  ".join(one.example for one in formats() if one.scores)
        raise ClaimError(f"it has no scores: it is read as {form.example}. Scores are in\n  {having}")
    return form.scores(found, graph)


def write_parts(parts: Parts, file: Path, format: str = "scrub") -> None:
    """Write our JSON, which `read_parts` reads back equal, or another form by its name.

    Raises ClaimError when it cannot be written, or not in that form.
    """
    if not parts.listed:
        raise ClaimError(f"{file}: an empty circuit is not written, because none is read.")
    if coded := next((c for part in parts.listed for c in ends_of(part) if c.part is not None), None):
        raise ClaimError(
            f"{file}: {coded} is directions or latents, arrays that no circuit's file holds: keep the claim that has "
            "them, scrub freeze, and take its circuit, Circuit.of(claim)."
        )
    writes = {form.name: form.writes for form in formats() if form.writes}
    if format not in writes:
        raise ClaimError(f"format={format!r} is not written; these are: {', '.join(map(repr, writes))}.")
    text = json.dumps(writes[format](parts), indent=1, ensure_ascii=False) + "\n"
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
        raise ClaimError(f"{file}: this is no text. A circuit is read from names or JSON; {_known()}") from None


def _read(text: str, graph: ModelGraph | None, take: Take) -> Any:
    data, problem = _data(text)
    if isinstance(data, dict):
        return _of_object(data, graph, take)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(data, list | tuple | set):
        return _of_entries(_listed(data), graph, take)  # pyright: ignore[reportUnknownArgumentType]
    if data is not None or (text.lstrip().startswith("{") and not _braced(text, graph)):
        raise ClaimError(f"{_unknown(repr(text.strip()[:90]))}{problem}")
    lines = [(i, line.partition("#")[0].strip()) for i, line in enumerate(text.splitlines(), start=1)]
    entries = [Entry(f"line {i}", _line(line)) for i, line in lines if line.strip("[](){},")]
    try:
        return _of_entries(entries, graph, take)
    except ClaimError as error:
        raise ClaimError(f"{error}{problem}") from None


def _braced(text: str, graph: ModelGraph | None) -> bool:
    """Whether a text that begins with a brace, and is no JSON, may be lines of a form whose entries begin so."""
    return any(form.braces and form.looks(text, graph) for form in formats())


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


def _of_object(data: Mapping[Any, Any], graph: ModelGraph | None, take: Take) -> Any:
    if "qParams" in data:
        raise ClaimError(_ATTRIBUTED)
    for form in tried(whole=True):
        if form.looks(data, graph):
            return take(form, data, graph)
    if data and all(isinstance(key, tuple) for key in data):  # a printed dictionary of edges
        return _of_entries(_listed(list(data.items())), graph, take)
    raise ClaimError(_unknown(f"an object with the keys {some(map(repr, data), 5)}" if data else "{}"))


def _listed(data: Any) -> list[Entry]:
    one = any(form.one(data) for form in formats())
    return [Entry(f"entry {i}", value) for i, value in enumerate([data] if one else data, start=1)]


def _of_entries(entries: list[Entry], graph: ModelGraph | None, take: Take) -> Any:
    """All entries are read in the one form that the first recognizable entry has."""
    for entry, form in product(entries, tried(whole=False)):
        if form.looks(entry.value, graph):
            return take(form, entries, graph)
    if entries:
        raise ClaimError(_unknown(str(entries[0])))
    return Parts()


def _known() -> str:
    return "\n  ".join(["known are", *(form.example for form in formats())])


def _unknown(found: str) -> str:
    known = _known()
    return f"this is no circuit that can be read; it begins with {found}. {known[0].upper()}{known[1:]}"
