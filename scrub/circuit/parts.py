"""The parts of a circuit: components and edges, everywhere or at a named position.

An edge says that a channel of its receiver reads what its sender writes: `7.3 -> 9.9.q`, `embed -> mlp 0`,
`9.9 -> logits`, in a computation graph `h1 -> h2`. A position (`5.5 -> 7.3.k @ S2`) is the place in the stream
where the value is written and read; for keys and values that is the position attended to.
"""

from __future__ import annotations

import re

from attrs import frozen

from scrub.claims.graphs import ModelGraph
from scrub.claims.names import Component, parse_component
from scrub.claims.positions import Slot, parse_slots
from scrub.errors import ClaimError

_CHANNEL = re.compile(r"(?P<name>.+?)(?:\.(?P<dot>[qkv])|\s*<(?P<angle>[qkv])>)", re.IGNORECASE)


@frozen(order=False)
class Node:
    """A component, at a named position or (None) at every position."""

    component: Component
    at: Slot | None = None

    def __str__(self) -> str:
        return _placed(str(self.component), self.at)

    def __lt__(self, other: Node) -> bool:
        return _order(self) < _order(other)


@frozen(order=False)
class Edge:
    """What `channel` of `receiver` reads of `sender`, at a named position or (None) at every position."""

    sender: Component
    receiver: Component
    channel: str = "input"
    at: Slot | None = None

    def __str__(self) -> str:
        return _placed(f"{self.sender} -> {channel_name(self.receiver, self.channel)}", self.at)

    def __lt__(self, other: Edge) -> bool:
        return _order(self) < _order(other)


Part = Node | Edge


def channel_name(receiver: Component, channel: str) -> str:
    """`9.9.q`; the one channel of a component that has no other is not written, nor a graph's argument."""
    return f"{receiver}.{channel}" if channel in ("q", "k", "v") and receiver.kind != "node" else str(receiver)


def _placed(name: str, at: Slot | None) -> str:
    return name if at is None else f"{name} @ {at}"


def _order(part: Part) -> tuple[object, ...]:
    at = "" if part.at is None else str(part.at)
    if isinstance(part, Node):
        return (part.component, at)
    return (part.receiver, part.channel, part.sender, at)


def parse_part(text: str, graph: ModelGraph | None = None) -> tuple[Part, ...]:
    """The part called `text`, one for each of its positions; an edge into a head without a channel is three.

    Heads in any notation (`9.6`, `L9H6`, `a9.h6`, `A9.6`), channels as `9.6.q` or `a9.h6<q>`. With a
    computation `graph`, names are its nodes. Raises ClaimError.
    """
    body, _, place = text.partition("@")
    slots = [None if slot.name == "all" else slot for slot in parse_slots(place.strip())] if place.strip() else [None]
    if "->" not in body:
        return tuple(Node(_component(body, graph), at) for at in slots)
    sender, _, receiver = body.partition("->")
    found, channels = _receiver(receiver, graph, sender.strip())
    source = _component(sender, graph)
    return tuple(Edge(source, found, channel, at) for channel in channels for at in slots)


def _component(text: str, graph: ModelGraph | None) -> Component:
    if graph is not None and not graph.sequence:
        return Component("node", name=text.strip())
    return parse_component(text)


def _receiver(text: str, graph: ModelGraph | None, sender: str) -> tuple[Component, tuple[str, ...]]:
    if graph is not None and not graph.sequence:
        return Component("node", name=text.strip()), (sender,)
    match = _CHANNEL.fullmatch(text.strip())
    component = parse_component(match["name"] if match else text)
    attends = component.kind in ("head", "attn")
    if match and not attends:
        raise ClaimError(f"{text.strip()!r}: {component} has one channel, its input; only heads have q, k and v.")
    if match:
        return component, ((match["dot"] or match["angle"]).lower(),)
    return component, ("q", "k", "v") if attends else ("input",)
