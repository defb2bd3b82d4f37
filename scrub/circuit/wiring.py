"""What has to be computed for a circuit of edges or for paths: copies of components, and what their channels read.

A channel reads, of every sender, either a *copy* of it or its frozen value. An edge circuit has one copy of each
component; paths have as many as there are different values to carry; components that are passed through have a
copy for every channel that reads past them. A copy reads only copies before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from attrs import evolve, field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.shape import refuse_normed
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.ends import is_sum, of_attention, sums_up
from scrub.circuit.universe import Graph


@frozen
class Outside:
    """Every position but these."""

    slots: frozenset[Slot]


Where = Slot | Outside | None
Entry = tuple[int, Where]  # a copy, read at one position, outside some, or everywhere
Column = frozenset[Entry]
Wanted = Callable[[Component, str], Iterable[tuple[Component, Where]]]  # senders of a channel, and where
Reads = tuple[tuple[str, Column], ...]  # by channel


def slots_of(where: Where) -> frozenset[Slot]:
    """The positions that a place names."""
    return where.slots if isinstance(where, Outside) else frozenset() if where is None else frozenset((where,))


@frozen
class Copy:
    """A component computed from the copies that its channels read; a leaf's value is given. Heads may be merged.

    An `entering` one is what the heads of one layer that it reads, or the neurons of an MLP, make together of the
    stream: where a layer norms what these write, this is no sum over them. One with `less` is a host without these
    parts of it. One that `clears` takes away what the copies that it reads write along a part of their sum; one of a
    query, key or value says that what its head reads is, along that part, what it is frozen at.
    """

    component: Component
    reads: Reads = ()
    leaf: bool = False
    heads: tuple[int, ...] = ()
    entering: bool = False
    less: tuple[Component, ...] = ()
    clears: bool = False

    @property
    def alone(self) -> bool:
        """Whether it is known by what its code, or that of a part, reads."""
        return self.component.is_part or bool(self.less)

    @property
    def lacks_neurons(self) -> bool:
        return any(part.traits.scalar for part in self.less)


@frozen(slots=False)
class Wiring:
    """Copies in an order in which they can be computed, and what the output reads.

    On a transformer there may be several outputs, each with its column: those of circuits that share copies.
    """

    copies: tuple[Copy, ...]
    final: Reads

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        columns = [column for copy in self.copies for _, column in copy.reads] + [c for _, c in self.final]
        return tuple(sorted({slot for column in columns for _, where in column for slot in slots_of(where)}))

    def everywhere(self, answer: Slot | None) -> list[bool]:
        """Which copies are needed at every position; the others are needed where the answer is read alone."""
        needed = [False] * len(self.copies)
        for number in reversed(range(len(self.copies))):
            copy = self.copies[number]
            for channel, column in copy.reads:
                if needed[number] or channel in ("k", "v"):
                    for other, where in column:
                        needed[other] |= where is None or where != answer
        return needed


@frozen(eq=False)
class Wirer:
    """Makes copies; equal ones are one. `fixed` says that a component which reads nothing live keeps its value.

    Of hosts in `apart`, these parts are senders of their own. `between` says which parts of streams, of attention of
    a layer, and of what it makes of these, a channel reads as they are: along them it reads nothing else.
    """

    graph: Graph
    passed: tuple[Component, ...]
    fixed: bool
    apart: Mapping[Component, tuple[Component, ...]] = field(factory=dict[Component, tuple[Component, ...]])
    between: Wanted = lambda reader, channel: ()
    made: list[Copy] = field(factory=list[Copy])
    # kept by what a copy reads, and by component and column: for this graph and what is passed and fixed in it
    known: dict[Copy, int] = field(factory=dict[Copy, int])
    memo: dict[tuple[Component, Column], int | None] = field(factory=dict[tuple[Component, Column], int | None])

    @classmethod
    def of(
        cls, graph: Graph, passed: Iterable[Component], fixed: bool,
        apart: Mapping[Component, tuple[Component, ...]] | None = None,
    ) -> Wirer:  # fmt: skip
        return cls(graph, tuple(sorted(passed, key=graph.order)), fixed, apart or {})

    def copy(self, copy: Copy) -> int | None:
        """The number of a copy; None for one whose value is the frozen one."""
        if self.fixed and not copy.leaf and not copy.clears and not any(column for _, column in copy.reads):
            return None
        if copy not in self.known:
            self.known[copy] = len(self.made)
            self.made.append(copy)
        return self.known[copy]

    def column(self, reader: Component, channel: str, direct: Column) -> Column:
        """What a channel reads: copies directly, and what is passed through, recomputed from these alone."""
        found = {e for e in direct if self.graph.feeds(self.made[e[0]].component, reader, channel)}
        for inner in self.passed if direct or not self.fixed else ():
            if self.graph.feeds(inner, reader, channel):
                number = self.recomputed(inner, direct)
                found |= set() if number is None else {(number, None)}
        return frozenset(found)

    def cleared(self, reader: Component, channel: str, column: Column) -> Column:
        """The same with nothing along parts that the channel reads as they are."""
        for part, where in sorted(self.between(reader, channel), key=lambda read: moment(self.graph, read[0])):
            beside = self.column(part, "input", column) if part.traits.is_stream else column
            beside = frozenset(e for e in beside if sums_up(part, self.made[e[0]].component))
            told = beside or part.traits.is_channel
            if told and (number := self.copy(Copy(part, (("input", beside),), clears=True))) is not None:
                column |= {(number, where)}
        return column

    def recomputed(self, inner: Component, direct: Column) -> int | None:
        """The copy of a passed-through component that reads some copies, and what is passed through before it."""
        if (inner, direct) not in self.memo:
            reads = tuple((c, self.column(inner, c, direct)) for c in self.graph.channels(inner))
            self.memo[inner, direct] = self.copy(Copy(inner, reads))
        return self.memo[inner, direct]


def moment(graph: Graph, component: Component) -> tuple[int, int]:
    """When a component is computed: streams before queries, keys and values, these before the heads that read them,
    a part of attention after its heads.
    """
    first = -2 * is_sum(component) - component.traits.is_channel
    return graph.order(component), 1 if of_attention(component) else first


def wire_edges(
    wirer: Wirer, senders: Iterable[Component], leaves: Iterable[Component], output: Component, live: Wanted
) -> Wiring:
    """A circuit of edges: `live` says which senders a channel reads live, everywhere or at a position."""
    return finished(wirer, wired_output(wirer, senders, leaves, output, live))


def wired_output(
    wirer: Wirer, senders: Iterable[Component], leaves: Iterable[Component], output: Component, live: Wanted
) -> Reads:
    """What the output of a circuit of edges reads, its copies made."""
    copies, given, graph = dict[Component, int](), set(leaves), wirer.graph

    def reads(component: Component) -> Reads:
        found: list[tuple[str, Column]] = []
        for channel in graph.channels(component):
            entries = frozenset((copies[s], slot) for s, slot in live(component, channel) if s in copies)
            entries = wirer.cleared(component, channel, entries)
            found.append((channel, wirer.column(component, channel, entries)))
        return tuple(found)

    for component in sorted(senders, key=lambda sender: moment(graph, sender)):
        leaf = component in given
        less = wirer.apart.get(component, ())
        number = wirer.copy(Copy(component, () if leaf else reads(component), leaf, less=less))
        if number is not None:
            copies[component] = number
    return reads(output)


def reached(wirer: Wirer, final: Reads) -> set[int]:
    """The copies that an output needs."""
    found, new = set[int](), {entry[0] for _, column in final for entry in column}
    while new:
        found |= new
        new = {entry[0] for number in new for _, column in wirer.made[number].reads for entry in column} - found
    return found


def finished(wirer: Wirer, final: Reads) -> Wiring:
    """The copies that outputs need, in the order of the model, heads that are always read together merged."""
    listed, needed = wirer.made, reached(wirer, final)
    if isinstance(wirer.graph, TransformerGraph):
        refuse_normed(wirer.graph.shape, wirer.graph.name, "edges and paths")
    # leaves come first: nothing of theirs has to be computed
    order = sorted(needed, key=lambda n: (not listed[n].leaf, wirer.graph.order(listed[n].component), n))
    graph = wirer.graph
    wiring = _merged(_renumbered(listed, order, final), graph)
    return _entered(wiring, graph) if isinstance(graph, TransformerGraph) and graph.shape.post_norms else wiring


def _entered(wiring: Wiring, graph: TransformerGraph) -> Wiring:
    """The same where a layer norms what it writes: what is read of its heads, or neurons, is one copy, entering."""
    listed, known = list(wiring.copies), dict[Copy, int]()

    def through(reads: Reads) -> Reads:
        return tuple((channel, _as_one(column, listed, known)) for channel, column in reads)

    for number, copy in enumerate(wiring.copies):
        listed[number] = evolve(copy, reads=through(copy.reads))
    final = through(wiring.final)
    order = sorted(range(len(listed)), key=lambda n: (not listed[n].leaf, graph.order(listed[n].component), n))
    return _renumbered(listed, order, final)


def _as_one(column: Column, listed: list[Copy], known: dict[Copy, int]) -> Column:
    """A column in which what is normed together is exchanged for what it makes of the stream."""
    groups: dict[Component | None, set[Entry]] = {}
    for entry in column:
        groups.setdefault(_normed_in(listed[entry[0]]), set()).add(entry)
    found = groups.pop(None, set[Entry]())
    for whole, entries in groups.items():
        assert whole is not None
        copy = Copy(whole, (("input", frozenset(entries)),), entering=True)
        if copy not in known:
            known[copy] = len(listed)
            listed.append(copy)
        found.add((known[copy], None))
    return frozenset(found)


def _normed_in(copy: Copy) -> Component | None:
    """Within what a copy is normed: heads of a layer together; neurons with what they leave of their MLP."""
    component = copy.component
    if component.traits.attends:
        return Component.for_attn(component.layer or 0)
    return component.host if component.traits.scalar or copy.lacks_neurons else None


def _renumbered(listed: list[Copy], order: list[int], final: Reads) -> Wiring:
    place = {old: new for new, old in enumerate(order)}

    def moved(reads: Reads) -> Reads:
        return tuple((c, frozenset((place[n], slot) for n, slot in column)) for c, column in reads)

    return Wiring(tuple(evolve(listed[n], reads=moved(listed[n].reads)) for n in order), moved(final))


def _read_by(wiring: Wiring) -> Iterator[tuple[int, Reads]]:
    """What every copy reads, by its number, and what every output does, by numbers below 0."""
    yield from ((number, copy.reads) for number, copy in enumerate(wiring.copies))
    yield from ((-1 - number, (output,)) for number, output in enumerate(wiring.final))


def _merged(wiring: Wiring, graph: Graph) -> Wiring:
    """Heads of a layer that read the same and are read by the same channels become one copy."""
    readers: dict[int, set[tuple[int, str, Where]]] = {}
    for number, reads in _read_by(wiring):
        for channel, column in reads:
            for other, slot in column:
                readers.setdefault(other, set()).add((number, channel, slot))
    groups: dict[object, list[int]] = {}
    for number, copy in enumerate(wiring.copies):
        alike: object = number
        if copy.component.traits.attends and not copy.leaf and not copy.alone:
            alike = (copy.component.layer, copy.reads, frozenset(readers.get(number, ())))
        groups.setdefault(alike, []).append(number)
    first = {n: members[0] for members in groups.values() for n in members}
    listed = list(wiring.copies)
    for members in groups.values():
        if isinstance(graph, TransformerGraph) and not listed[members[0]].leaf:
            heads = tuple(head for n in members for head in listed[n].component.heads(graph.shape))
            listed[members[0]] = evolve(listed[members[0]], heads=heads)
    order = sorted(members[0] for members in groups.values())

    def joined(reads: Reads) -> Reads:
        return tuple((c, frozenset((first[n], slot) for n, slot in column)) for c, column in reads)

    listed = [evolve(copy, reads=joined(copy.reads)) for copy in listed]
    return _renumbered(listed, order, joined(wiring.final))
