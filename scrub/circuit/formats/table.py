"""A table with a header, comma-separated: `sender,receiver,channel`, `layer,head`, or `edge` or `node` alone.

With a column `score` (or `weight`) it is a ranking; with `in_graph` (or `kept`) too, the circuit is what that says.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Any

from scrub.anatomy.edges import Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.circuit.formats import Format, Scores
from scrub.circuit.formats.entries import Entry, gather, gather_scores
from scrub.circuit.formats.named import named_parts
from scrub.errors import ClaimError, did_you_mean

FORM = "a table with a header"
_ALIASES = {
    "source": "sender", "from": "sender", "src": "sender", "target": "receiver", "to": "receiver", "dst": "receiver",
    "component": "node", "weight": "score", "kept": "in_graph", "in_circuit": "in_graph",
    "type": "channel",
}  # fmt: skip
_COLUMNS = ("sender", "receiver", "channel", "layer", "head", "edge", "node", "score", "in_graph")
_NAMING = (("sender", "receiver"), ("layer", "head"), ("edge",), ("node",))  # what names a part
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no", "")


def header(value: Any) -> list[str]:
    """The columns that a line names in our words; none for a line that is no header."""
    if not isinstance(value, str):
        return []
    words = [word.strip().strip('"').lower() for word in value.split(",")]
    found = [_ALIASES.get(word, word) for word in words]
    return found if any(set(names) <= set(found) for names in _NAMING) else []


def looks(value: Any, graph: ModelGraph | None = None) -> bool:
    return bool(header(value))


def parts(entries: Iterable[Entry], graph: ModelGraph | None = None) -> Parts:
    """Raises ClaimError with every bad line, for unknown columns, and for scores that nothing says to keep."""
    rows, columns = _rows(entries)
    if "score" in columns and "in_graph" not in columns:
        raise ClaimError(
            f"read as {FORM}: scores alone are no circuit: take the best of the {len(rows)} lines, top=K."
        )
    return Parts(tuple(gather(rows, FORM, lambda value: _kept(value, columns, graph))))


def scores(entries: Iterable[Entry], graph: ModelGraph | None = None) -> Scores:
    """Raises ClaimError with every bad line, and for a table without scores."""
    rows, columns = _rows(entries)
    if "score" not in columns:
        raise ClaimError(f"read as {FORM}: it has no column 'score'; its columns are {', '.join(columns)}.")
    return gather_scores(rows, FORM, lambda value: _scored(_row(value, columns), graph))


def _rows(entries: Iterable[Entry]) -> tuple[list[Entry], list[str]]:
    first, *rows = entries
    columns = header(first.value)
    if not columns:
        raise ClaimError(f"read as {FORM}: {first}: the header comes first.")
    if unknown := [name for name in columns if name not in _COLUMNS]:
        raise ClaimError(f"read as {FORM}: unknown column {unknown[0]!r}.{did_you_mean(unknown[0], _COLUMNS)}")
    return rows, columns


def _row(value: Any, columns: list[str]) -> Mapping[str, str]:
    cells = [cell.strip() for cell in next(csv.reader([str(value)]))]
    if len(cells) != len(columns):
        raise ClaimError(f"it has {len(cells)} cells, and the header names {len(columns)} columns.")
    return dict(zip(columns, cells, strict=True))


def _kept(value: Any, columns: list[str], graph: ModelGraph | None) -> tuple[Part, ...]:
    row = _row(value, columns)
    said = row.get("in_graph", "true").lower()
    if said not in (*_YES, *_NO):
        raise ClaimError(f"in_graph is {said!r}, neither true nor false.")
    return _named(row, graph) if said in _YES else ()


def _scored(row: Mapping[str, str], graph: ModelGraph | None) -> list[tuple[Part, float]]:
    try:
        score = float(row["score"])
    except ValueError:
        raise ClaimError(f"score is {row['score']!r}, no number.") from None
    return [(part, score) for part in _named(row, graph)]


def _named(row: Mapping[str, str], graph: ModelGraph | None) -> tuple[Part, ...]:
    if "sender" in row:
        channel = row.get("channel", "")
        return named_parts(f"{row['sender']} -> {row['receiver']}" + (f".{channel}" if channel else ""), graph)
    if "layer" in row:
        return named_parts(f"{row['layer']}.{row['head']}" if row["head"] else f"mlp {row['layer']}", graph)
    return named_parts(row.get("edge") or row["node"], graph)


FORMAT = Format(
    "a table with a header: sender,receiver,channel or layer,head or edge,score",
    looks,
    parts,
    place=10,
    scores=scores,
)
