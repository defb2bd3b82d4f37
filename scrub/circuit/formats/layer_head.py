"""Heads as papers and notebooks list them: `[[9, 9], [9, 6]]`, pairs of a layer and a head."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scrub.anatomy.edges import Node, Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.circuit.formats import Format
from scrub.circuit.formats.entries import Entry, gather
from scrub.circuit.formats.named import named_parts
from scrub.errors import ClaimError

FORM = "heads, each a layer and a head"


def is_head(value: Any, graph: ModelGraph | None = None) -> bool:
    """Whether a value is meant as a head: a list of two whole numbers, perhaps negative ones."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(is_whole, value))  # pyright: ignore


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def head_parts(value: Any) -> tuple[Part, ...]:
    """The head `[9, 6]`, or what a name beside such pairs stands for. Raises ClaimError."""
    if isinstance(value, str):
        return named_parts(value)
    if not is_head(value) or min(value) < 0:
        raise ClaimError("a head is written [layer, head], two whole numbers from 0.")
    return (Node(Component.for_head(*value)),)


def parts(entries: Iterable[Entry], graph: ModelGraph | None = None) -> Parts:
    """Raises ClaimError with every bad entry."""
    return Parts(tuple(gather(entries, FORM, head_parts)))


FORMAT = Format("heads of notebooks: [[9, 9], [9, 6]]", is_head, parts, place=6)
