"""Which senders a channel reads live, in a circuit of edges: of hosts that stand apart from their parts, both."""

from __future__ import annotations

from collections.abc import Iterator

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.circuit import Circuit
from scrub.circuit.ends import is_sum, parts_on, stands_between
from scrub.circuit.wiring import Outside, Wanted, Where

Named = dict[Component, set[Slot | None]]  # senders of a channel, and where


def live_senders(circuit: Circuit, graph: TransformerGraph, inside: bool) -> Wanted:
    """Which senders a channel reads live: those of the circuit (`inside`), or everywhere else all others."""
    wanted: dict[tuple[Component, str], Named] = {}
    for edge in circuit.edges:
        channel = wanted.setdefault((edge.receiver, edge.channel), {})
        channel.setdefault(edge.sender, set()).add(edge.at)
    parts = parts_on(circuit.edges)
    writers = [*graph.writers(), *parts]

    def live(receiver: Component, channel: str) -> list[tuple[Component, Where]]:
        named = wanted.get((receiver, channel), {})
        if inside:
            return [entry for sender in named for entry in _once(sender, named)]
        if receiver.is_part:  # what its host does not read live, it does not
            named = _joined(named, wanted.get(_of_host(receiver, channel), {}))
        whole = {part: named[part.host] for part in parts if part.host in named}
        found = _others(writers, _joined(named, whole))
        return [(s, where) for s, where in found if not is_sum(s) or s.host != receiver.host]

    return live


def _of_host(part: Component, channel: str) -> tuple[Component, str]:
    """The host of a part, and the channel of it that the part reads through: a query is what q makes of it."""
    return part.host, part.kind if part.traits.is_channel else channel


def between(circuit: Circuit, graph: TransformerGraph, inside: bool, live: Wanted) -> Wanted:
    """Which parts of what it reads a channel reads as they are: those read live (`inside`), or everywhere all."""
    parts = [part for part in parts_on(circuit.edges) if stands_between(part)]
    if not parts:
        return lambda receiver, channel: ()

    def read(receiver: Component, channel: str) -> list[tuple[Component, Where]]:
        if inside:
            return [(sender, where) for sender, where in live(receiver, channel) if sender in parts]
        return [(part, None) for part in parts if _behind(part, receiver, channel, graph)]

    return read


def _behind(part: Component, receiver: Component, channel: str, graph: TransformerGraph) -> bool:
    """Parts of one sum do not read one another."""
    beside = is_sum(part) and part.host == receiver.host
    return not beside and graph.feeds(part, receiver, channel)


def _once(sender: Component, named: Named) -> Iterator[tuple[Component, Where]]:
    """Where a sender is read: a part, not where its host is."""
    host = named.get(sender.host, set()) if sender.is_part else set[Slot | None]()
    for slot in named[sender] - host if None not in host else ():
        apart = frozenset(s for s in host if s is not None)
        yield sender, Outside(apart) if slot is None and apart else slot


def _joined(first: Named, second: Named) -> Named:
    return {c: first.get(c, set()) | second.get(c, set()) for c in (*first, *second)}


def _others(writers: list[Component], named: Named) -> Iterator[tuple[Component, Where]]:
    yield from ((sender, None) for sender in writers if sender not in named)
    for sender, slots in named.items():
        if None not in slots:
            yield sender, Outside(frozenset(slot for slot in slots if slot is not None))
