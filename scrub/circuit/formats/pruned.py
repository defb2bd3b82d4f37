"""Edges as pairs of two names, sender first, as Edge-Pruning (Bhaskar et al. 2024) stores them.

`["tok_embeds", "a0.h1.q"]`, `["a0.h1", "m2"]`, `["m2", "resid_post"]`. Its `tok_embeds` and `pos_embeds` are `embed`
and `pos`; `embeds`, their sum where they are one writer, is `embed`, so that positions stay as they are; `resid_post`
is the logits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scrub.anatomy.edges import Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.circuit.formats import Format
from scrub.circuit.formats.entries import Entry, gather
from scrub.circuit.formats.named import named_parts
from scrub.errors import ClaimError

FORM = "pairs of names, as of Edge-Pruning"
_OWN = {"tok_embeds": "embed", "embeds": "embed", "pos_embeds": "pos", "resid_post": "logits"}


def is_named_pair(value: Any, graph: ModelGraph | None = None) -> bool:
    """Whether a value is meant as an edge between two names; hooks and names of whole edges are others' entries."""
    if not isinstance(value, list | tuple) or len(value) != 2:  # pyright: ignore[reportUnknownArgumentType]
        return False
    names: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    return all(isinstance(name, str) and not any(mark in name for mark in ("->", "hook_", "Node(")) for name in names)


def parts(entries: Iterable[Entry], graph: ModelGraph | None = None) -> Parts:
    """Raises ClaimError with every bad pair."""
    return Parts(tuple(gather(entries, FORM, lambda value: _edge(value, graph))))


def _edge(value: Any, graph: ModelGraph | None) -> tuple[Part, ...]:
    if not is_named_pair(value):
        raise ClaimError('an edge is written ["a7.h3", "a9.h9.q"], the sender first.')
    sender, receiver = (_OWN.get(name.strip(), name.strip()) for name in value)
    return named_parts(f"{sender} -> {receiver}", graph)


FORMAT = Format(
    'pairs of Edge-Pruning: [["tok_embeds", "a0.h1.q"], ["m2", "resid_post"]]', is_named_pair, parts, place=8
)
