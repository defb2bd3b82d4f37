"""What a circuit cannot hold of parts of components: parts that overlap, and ends that no edge has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from scrub.anatomy.edges import Edge, Node, Part, parts_in_order
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.claims.overlap import parts_met


def misfits(parts: Collection[Part], graph: ModelGraph) -> list[str]:
    """What is wrong with parts of components among a circuit's own, all of which the model has."""
    if not any(end.is_part for part in parts for end in ends_of(part)):
        return []
    listed = parts_in_order(parts)
    found = [text for part in listed for end in ends_of(part) for text in _unfit(part, end)]
    return found or list(dict.fromkeys(_overlaps(listed, graph)))


def ends_of(part: Part) -> tuple[Component, ...]:
    """The component, or the sender and the receiver."""
    return (part.component,) if isinstance(part, Node) else (part.sender, part.receiver)


def parts_on(edges: Iterable[Edge]) -> list[Component]:
    """The parts of components that edges join."""
    ends = {end for edge in edges for end in (edge.sender, edge.receiver)}
    return sorted(end for end in ends if end.is_part)


def is_sum(component: Component) -> bool:
    """Whether it is what others write together: a stream, or attention of a layer."""
    return component.traits.is_stream or (component.traits.attends and not component.traits.by_unit)


def of_attention(component: Component) -> bool:
    """Whether it is a part of what all heads of a layer write together."""
    return is_sum(component) and component.traits.attends


def stands_between(component: Component) -> bool:
    """Whether it is a part of what channels read: where one reads it, nothing else goes along it."""
    return is_sum(component) or component.traits.is_channel


def sums_up(part: Component, writer: Component) -> bool:
    """Whether a part of a sum, which reads a writer or stands behind it, has that writer among its summands.

    A query, key or value is no sum of what it reads.
    """
    if part.traits.is_channel:
        return False
    if of_attention(part):
        return writer.traits.is_head and writer.layer == part.layer
    return not writer.traits.is_stream or writer.layer != part.layer


def read_by(part: Component) -> str:
    """Who reads a query, key or value, in words."""
    host = part.host
    return f"its own head alone does, through {part.kind}: '{part} -> {part.whole}', and then '{host} -> ...'"


def _unfit(part: Part, end: Component) -> Iterator[str]:
    if end.traits.is_channel and isinstance(part, Node):
        way = f"name the head, {end.host}, or edges into it and '{end} -> {end.whole}'"
        yield f"{part}: {end} belongs to its head, {end.host}, which alone reads it: {way}."
    elif isinstance(part, Edge) and is_sum(end) and end.is_part and part.sender.host == part.receiver.host:
        yield f"{part}: parts of one {end.kind} read what is written before it, and none reads another."


def _overlaps(parts: Sequence[Part], graph: ModelGraph) -> Iterator[str]:
    """Parts that overlap where both are named, or a host beside its part: `9.9[U]` and `9.9`."""
    places: dict[object, list[tuple[Component, Slot | None]]] = {}
    for part in parts:
        if isinstance(part, Node):
            places.setdefault(None, []).append((part.component, part.at))
        else:
            places.setdefault((part.receiver, part.channel), []).append((part.sender, part.at))
    for named in places.values():
        everywhere = [component for component, at in named if at is None]
        for slot in dict.fromkeys(at for _, at in named):
            yield from _told([c for c, at in named if at == slot], everywhere if slot else (), graph, slot)


def _told(here: Sequence[Component], others: Iterable[Component], graph: ModelGraph, slot: Slot | None) -> list[str]:
    where = "" if slot is None else f" @ {slot}"
    met = parts_met((*here, *others), graph)
    return [
        f"{names}{where} overlap: parts of one host have other indices, or orthogonal directions." for names in met
    ]
