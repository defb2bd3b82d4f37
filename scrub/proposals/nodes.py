"""The nodes that a proposal ranks: components, and of these the queries, keys, values and neurons."""

from __future__ import annotations

import re

from scrub.anatomy.names import Component
from scrub.anatomy.shape import Shape
from scrub.anatomy.table import ATTN_NORMED, CHANNELS, MLP_INPUT, TABLE, word_of
from scrub.errors import ClaimError, did_you_mean

# in the order in which they are listed: of what holds the same values, the finest last but the stream
KINDS = ("embed", "q", "k", "v", "head", "attn", "mlp", "neuron", "resid")
ALL_CHANNELS = ("channel", "channels")  # each head's query, key and value
USUAL = tuple(kind for kind in KINDS if not TABLE[kind].scalar)
WHOLE = ("embed", "resid")  # over all positions: the whole run, and ranked last
LATENTS = "latents"  # of dictionaries: a kind of node for each host that has one
KIND_OF = {TABLE[kind].traced: kind for kind in KINDS}  # by the array of a pass that a node is
BEHIND_NORM = {"attn": ATTN_NORMED}  # the array that a node is where a norm follows what heads write together
TOLD = KIND_OF | {name: name for name in (MLP_INPUT, ATTN_NORMED)}  # and what an MLP reads, which is no node


def node_of(kind: str, layer: int, unit: int) -> Component:
    """A node by its place in arrays `[layer, unit]`; kinds without layers or units have one of each."""
    kind = {array: kind for kind, array in BEHIND_NORM.items()}.get(kind, kind)
    traits = TABLE[kind]
    return Component(kind, layer if traits.layered else None, unit if traits.by_unit else None)


def kind_of(component: Component) -> str:
    """The kind that a node is of: latents of a host, and its dictionary's error, are one of their own."""
    return f"{LATENTS} of {component.whole}" if component.part else component.kind


def extent(kind: str, shape: Shape) -> tuple[int, int]:
    """How many layers and units the nodes of a kind have: 0 layers where a model has none."""
    return TABLE[kind].layers(shape), TABLE[kind].units(shape)


def parse_kinds(words: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    """Kinds of nodes: `"heads q k v mlps"`, `"channels"` (q, k and v); None is all but neurons. Raises ClaimError."""
    if words is None:
        return USUAL
    listed = re.split(r"[\s,]+", words.strip()) if isinstance(words, str) else list(words)
    listed = [one for word in listed for one in (CHANNELS if word in ALL_CHANNELS else (word,))]
    found = [word_of(word) or word for word in listed]
    wrong = [word for word, kind in zip(listed, found, strict=True) if kind not in KINDS]
    if wrong or not listed or listed == [""]:
        known = [*KINDS, *ALL_CHANNELS, *(word for kind in KINDS for word in TABLE[kind].plurals)]
        near = did_you_mean(str(wrong[0]), known) if wrong else ""
        raise ClaimError(f"nodes={words!r} names no kind of node.{near} Known: {', '.join(KINDS)}.")
    return tuple(kind for kind in KINDS if kind in found)
