"""Pairs of a writer and a reader, as TransformerLens's `attribution_patch(...).top_edges(k)` gives them.

A node has a `kind`, a `position` and, where they apply, a `layer` and a `head`. Read from memory, from JSON (each
node as an object with these fields) and from their printed form, with or without the edge's score.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from scrub.anatomy.edges import Edge, Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.circuit.formats import Format
from scrub.circuit.formats.entries import Entry, gather
from scrub.errors import ClaimError, did_you_mean

FORM = "pairs of a writer and a reader, as of TransformerLens"
EXAMPLES = (
    '[{"kind": "attn_head_out", "layer": 7, "head": 3, "position": 4}, '
    '{"kind": "q_input", "layer": 9, "head": 9, "position": 4}]'
)

_WRITERS = {"embed": "embed", "attn_head_out": "head", "mlp_out": "mlp"}
_READERS = {"q_input": "head", "k_input": "head", "v_input": "head", "mlp_in": "mlp", "logits": "logits"}
_FIELDS = ("kind", "position", "layer", "head")
_NEEDS = {"embed": (), "head": ("layer", "head"), "mlp": ("layer",), "logits": ()}
_TEXT = re.compile(r"\bNode\(([^()]*)\)")
_FIELD = re.compile(r"""(\w+)\s*=\s*["']?([\w-]+)["']?""")
_BETWEEN = re.compile(r"""[\s\[\](){}"',:\d.e+-]*|[\s\[\](){},:"']*nan[\s\[\](){},:"']*""")

Fields = dict[str, Any]


def looks_paired(value: Any, graph: ModelGraph | None = None) -> bool:
    text = value if isinstance(value, str) else repr(value)
    return "Node(" in text or "'kind'" in text or '"kind"' in text


def is_pair(data: Any) -> bool:
    """Whether a list is one pair, and not a list of them."""
    return isinstance(data, list | tuple) and len(data) > 1 and all(_is_node(item) for item in data[:2])  # pyright: ignore


def parts_from_pairs(pairs: Iterable[Any]) -> Parts:
    """A circuit from `(writer, reader)` pairs or `(writer, reader, score)` triples in memory, or `edge_scores`.

    Raises ClaimError naming the pairs that are none, and for no pairs.
    """
    found = parts_of_pairs(Entry(f"entry {i}", pair) for i, pair in enumerate(pairs, start=1))
    if not found.listed:
        raise ClaimError("an empty circuit: there is no pair.")
    return found


def parts_of_pairs(entries: Iterable[Entry], graph: ModelGraph | None = None) -> Parts:
    """The edges; `made_for` the number of layers that a `logits` node tells. Raises ClaimError."""
    ends = set[int]()
    found = gather(entries, FORM, lambda value: _parts(value, ends))
    made_for = (("n_layers", max(ends) + 1),) if ends else ()
    return Parts(tuple(part for part in found if isinstance(part, Edge)), made_for=made_for)


def _parts(value: Any, ends: set[int]) -> list[Part]:
    return [_edge(writer, reader, ends) for writer, reader in _nodes(value)]


def _nodes(value: Any) -> list[tuple[Fields, Fields]]:
    """The pairs of one entry: a line may hold several."""
    if isinstance(value, str):
        found = [dict(_FIELD.findall(text)) for text in _TEXT.findall(value)]
        if len(found) % 2 or not found or not _BETWEEN.fullmatch(_TEXT.sub("", value)):
            raise ClaimError("an edge is a writer and a reader, written (Node(kind=...), Node(kind=...)).")
        return list(zip(found[::2], found[1::2], strict=True))
    if not isinstance(value, list | tuple) or not value:
        raise ClaimError(f"an edge is written {EXAMPLES}.")
    listed: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    pair: Any = listed if _is_node(listed[0]) else listed[0]
    if not is_pair(pair) or len(pair) > 3:
        raise ClaimError(f"an edge is written {EXAMPLES}.")
    return [(_fields(pair[0]), _fields(pair[1]))]


def _is_node(value: Any) -> bool:
    if isinstance(value, str):
        return _TEXT.fullmatch(value.strip()) is not None
    return isinstance(value, dict) or hasattr(value, "kind")


def _fields(node: Any) -> Fields:
    if isinstance(node, str):
        return dict(_FIELD.findall(node))
    if isinstance(node, dict):
        return dict(node)  # pyright: ignore[reportUnknownArgumentType]
    return {name: getattr(node, name, None) for name in _FIELDS}


def _edge(writer: Fields, reader: Fields, ends: set[int]) -> Edge:
    sender, receiver = _component(writer, _WRITERS, "writer"), _component(reader, _READERS, "reader")
    if receiver.traits.is_output and (layer := _number(reader, "layer")) is not None:
        if ends and layer not in ends:
            raise ClaimError(f"logits are read after layer {layer} here and after layer {min(ends)} before.")
        ends.add(layer)
    places = [_number(node, "position") for node in (writer, reader)]
    if places[0] != places[1]:
        raise ClaimError(f"both ends of an edge stand at one position, not at {places[0]} and {places[1]}.")
    channel = reader["kind"][0] if receiver.traits.attends else "input"
    return Edge(sender, receiver, channel, None if places[0] is None else Slot("", places[0]))


def _component(node: Fields, kinds: dict[str, str], role: str) -> Component:
    unknown = [name for name in node if name not in _FIELDS]
    if unknown:
        raise ClaimError(f"a node has no {unknown[0]!r}.{did_you_mean(str(unknown[0]), _FIELDS)}")
    word = str(node.get("kind"))
    if word not in kinds:
        raise ClaimError(f"{word!r} is no kind of {role}: these are {', '.join(kinds)}.{did_you_mean(word, kinds)}")
    kind = kinds[word]
    layer, head = (_number(node, name) if name in _NEEDS[kind] else None for name in ("layer", "head"))
    given = {"layer": layer, "head": head}
    missing = [name for name in _NEEDS[kind] if given[name] is None]
    if missing:
        raise ClaimError(f"{word} needs a {' and a '.join(missing)}.")
    return Component(kind, layer, head)


def _number(node: Fields, name: str) -> int | None:
    value = node.get(name)
    if value is None or value == "None":
        return None
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value)):
        raise ClaimError(f"{name} {value!r} is no number from 0.")
    return int(value)


FORMAT = Format(
    f"pairs of TransformerLens, lines or JSON: {EXAMPLES}",
    looks_paired, parts_of_pairs, one=is_pair, braces=True, place=5,
)  # fmt: skip
