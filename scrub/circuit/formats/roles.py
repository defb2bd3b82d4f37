"""Heads by role, `{"name mover": [[9, 9], [9, 6]]}`, or by layer, `{"9": [6, 9]}`; roles stay beside the parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.anatomy.edges import Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.circuit.formats import Format
from scrub.circuit.formats.entries import Entry, gather
from scrub.circuit.formats.layer_head import head_parts, is_head, is_whole
from scrub.errors import ClaimError

FORM = "heads by role, or by layer"


def by_layer(data: Mapping[Any, Any]) -> bool:
    """Whether the keys are layers and the lists those of their heads."""
    numbers = all(is_whole(key) or (isinstance(key, str) and key.strip().isdecimal()) for key in data)
    return numbers and all(isinstance(heads, list | tuple) and all(map(is_whole, heads)) for heads in data.values())


def looks(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> bool:
    lists = bool(data) and all(isinstance(value, list | tuple) for value in data.values())
    return lists and (by_layer(data) or any(is_head(head) for value in data.values() for head in value))


def parts(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> Parts:
    """Raises ClaimError with every bad head, each with its key."""
    if by_layer(data):
        listed = [Entry(f"layer {key}", [int(key), head]) for key, heads in data.items() for head in heads]
        return Parts(tuple(gather(listed, FORM, head_parts)))
    listed = [Entry(repr(key), head) for key, heads in data.items() for head in heads]
    found = gather(listed, FORM, head_parts)  # all that is wrong at once
    twice = [str(part) for i, part in enumerate(found) if part in found[:i] and _in_one(part, data)]
    if twice:
        raise ClaimError(f"read as {FORM}: {', '.join(twice)}: listed twice in one role.")
    roles = tuple((str(key), frozenset(part for head in heads for part in head_parts(head)))
                  for key, heads in data.items())  # fmt: skip
    return Parts(tuple(dict.fromkeys(found)), roles)


def _in_one(part: Part, data: Mapping[Any, Any]) -> bool:
    return any([p for head in heads for p in head_parts(head)].count(part) > 1 for heads in data.values())


FORMAT = Format(
    'heads by role or by layer: {"name mover": [[9, 9]], "S-inhibition": [[7, 3]]}, {"9": [6, 9]}',
    looks, parts, whole=True, place=7,
)  # fmt: skip
