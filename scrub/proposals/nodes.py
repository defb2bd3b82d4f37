"""The nodes that a proposal ranks, kind by kind, and the one notation in which they are written."""

from __future__ import annotations

import re

from attrs import frozen

from scrub.anatomy.shape import Shape
from scrub.errors import ClaimError, did_you_mean

# kind -> the value of `trace` that it is: a head is what leaves it, before W_O
TRACED = {
    "embed": "embed",
    "q": "q",
    "k": "k_read",
    "v": "v_read",
    "head": "z",
    "attn": "attn_out",
    "mlp": "mlp_out",
    "neuron": "neurons",
    "resid": "resid_pre",
}
KINDS = tuple(TRACED)
USUAL = ("embed", "q", "k", "v", "head", "attn", "mlp", "resid")
CHANNELS = ("q", "k", "v")
_PLURALS = {f"{kind}s": kind for kind in ("embed", "head", "attn", "mlp", "neuron", "resid")} | {
    "queries": "q",
    "keys": "k",
    "values": "v",
}


@frozen(order=True)
class NodeId:
    """One node: `unit` is a head, or a neuron; layers of `resid` count to the final stream, `resid n_layers`."""

    kind: str
    layer: int = 0
    unit: int = 0

    def __str__(self) -> str:
        match self.kind:
            case "embed":
                return "embed"
            case "head":
                return f"{self.layer}.{self.unit}"
            case "neuron":
                return f"mlp {self.layer}.{self.unit}"
            case "q" | "k" | "v":
                return f"{self.layer}.{self.unit}.{self.kind}"
            case _:
                return f"{self.kind} {self.layer}"


def extent(kind: str, shape: Shape) -> tuple[int, int]:
    """How many layers and units the nodes of a kind have: 0 layers where a model has none."""
    match kind:
        case "embed":
            return 1, 1
        case "resid":
            return shape.n_layers + 1, 1
        case "mlp":
            return (shape.n_layers if shape.d_mlp else 0), 1
        case "neuron":
            return (shape.n_layers if shape.d_mlp else 0), shape.d_mlp
        case "attn":
            return shape.n_layers, 1
        case _:
            return shape.n_layers, shape.n_heads


def parse_kinds(words: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    """Kinds of nodes: `"heads q k v mlps"`; None is every kind but neurons. Raises ClaimError."""
    if words is None:
        return USUAL
    listed = re.split(r"[\s,]+", words.strip()) if isinstance(words, str) else list(words)
    found = [_PLURALS.get(word, word) for word in listed]
    wrong = [word for word, kind in zip(listed, found, strict=True) if kind not in KINDS]
    if wrong or not listed or listed == [""]:
        known = [*KINDS, *_PLURALS]
        near = did_you_mean(str(wrong[0]), known) if wrong else ""
        raise ClaimError(f"nodes={words!r} names no kind of node.{near} Known: {', '.join(KINDS)}.")
    return tuple(kind for kind in KINDS if kind in found)
