"""From a proposal to the outline of a claim: strong heads in groups, what each group reads, what the answer reads.

Nothing in it is known to be a variable: a group is heads that act at one position and attend to another, none of
which reads another one strongly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import networkx as nx
from attrs import evolve, field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.table import CHANNELS
from scrub.anatomy.tolerances import NO_HEAD
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.dataset import Dataset
from scrub.errors import ClaimError
from scrub.proposals.places import Acting, Done, acting, candidates, named_like
from scrub.proposals.proposal import Proposal, RankedEdge
from scrub.proposals.search import STRONG
from scrub.proposals.setup import Setup

MOST = 24  # heads
Source = int | Slot  # a group by its number, or the embedding at a position
Reads = Mapping[str, tuple[Source, ...]]


@frozen
class Group:
    """Heads that act at one position and attend to another (`target`), and what each channel reads.

    That is nothing where a group reads no named position.
    """

    members: tuple[Acting, ...]
    target: str
    reads: Reads = field(factory=dict[str, tuple[Source, ...]])

    @property
    def at(self) -> Slot:
        return self.members[0].at

    @property
    def parents(self) -> tuple[Source, ...]:
        return tuple(dict.fromkeys(source for channel in CHANNELS for source in self.reads.get(channel, ())))


@frozen
class Sketch:
    """Groups, each after those that it reads, and which of them the answer reads at its position.

    `unread` are strong heads from which no strong edge leads on to the answer.
    """

    groups: tuple[Group, ...]
    answer: tuple[int, ...]
    at: Slot
    unread: tuple[Acting, ...]


def sketch(setup: Setup, proposal: Proposal, passed: frozenset[Component], done: Done) -> Sketch:
    """The outline of a claim that passes through some components. Raises ClaimError where no head is strong."""
    graph, data, answer = setup.experiment.graph, setup.experiment.data.origin, setup.experiment.answer
    assert isinstance(graph, TransformerGraph)
    assert answer is not None
    edges = Widths.of(proposal.edges, passed)
    slots = candidates(data, answer)
    end = named_like(answer, slots, data)
    found = acting(setup, strong_heads(proposal), slots, done)
    if not any(one.at == end for one in found):  # what they do gets to the answer by some other head
        others = set(graph.writers()) - {one.head for one in found}
        last = max((c for c in others if c.traits.attends), key=lambda h: (edges.width(h, "logits"), h))
        found += acting(setup, [last], (end,), done)
    groups = _grouped(found, graph, edges, _leaves(slots, data))
    read = _answering([i for i, group in enumerate(groups) if group.at == end], groups, edges)
    kept = sorted(_reached(read, groups))
    number = {old: new for new, old in enumerate(kept)}
    unread = tuple(one for i, group in enumerate(groups) if i not in number for one in group.members)
    return Sketch(tuple(_renumbered(groups[i], number) for i in kept), tuple(number[i] for i in read), end, unread)


def strong_heads(proposal: Proposal) -> list[Component]:
    """Heads whose output, queries, keys or values do at least a tenth of the most that any does; `MOST` at most."""
    best: dict[Component, float] = defaultdict(float)
    for node in proposal.nodes:
        head = node.component.host
        if head.traits.is_head:
            best[head] = max(best[head], abs(node.best))
    most = max(best.values(), default=0.0)
    if most <= NO_HEAD * abs(proposal.source - proposal.base):
        raise ClaimError(
            "there is nothing to begin a claim with: patching any head changes next to nothing, although exchanging "
            f"the whole input takes {proposal.metric} from {proposal.base:.3g} to {proposal.source:.3g}. Look at "
            "the MLPs and the embedding, or pair rows so that they differ in one thing alone."
        )
    ranked = sorted((head for head in best if best[head] >= STRONG * most), key=lambda head: (-best[head], head))
    return sorted(ranked[:MOST])


@frozen
class Widths:
    """Estimated edges, also by way of MLPs that are passed through: of a path, its weakest edge."""

    direct: Mapping[tuple[str, str], float]
    mlps: tuple[str, ...]

    @classmethod
    def of(cls, edges: Iterable[RankedEdge], passed: frozenset[Component]) -> Widths:
        through = tuple(str(c) for c in sorted(passed) if c.traits.local)
        return cls({(edge.sender, edge.receiver): abs(edge.score) for edge in edges}, through)

    def width(self, sender: Component, receiver: str) -> float:
        """The strongest way from a sender to a channel, such as `9.6.q` or `logits`."""
        known = {str(sender): float("inf")}
        for mlp in (*self.mlps, receiver):
            known[mlp] = max(min(wide, self.direct.get((via, mlp), 0.0)) for via, wide in known.items())
        return known[receiver]


def _grouped(
    found: Sequence[Acting], graph: TransformerGraph, edges: Widths, leaves: tuple[Slot, ...]
) -> list[Group]:
    """Heads of one position and one target, in as many groups as strong edges among them ask for, by layer."""
    target = _targets(found)
    levels: dict[Component, int] = {}
    ordered = sorted(found, key=lambda one: one.head)
    for number, reader in enumerate(ordered):
        same = reader.at, target[reader.head]
        mates = [one for one in ordered[:number] if (one.at, target[one.head]) == same]
        read = _sources([reader], [[mate] for mate in mates], graph, edges, leaves)
        senders = {source for sources in read.values() for source in sources}
        levels[reader.head] = 1 + max((levels[mate.head] for i, mate in enumerate(mates) if i in senders), default=-1)
    alike: dict[tuple[Slot, str, int], list[Acting]] = defaultdict(list)
    for one in ordered:
        alike[one.at, target[one.head], levels[one.head]].append(one)
    listed = sorted(alike.items(), key=lambda item: item[1][0].head)  # senders before readers
    senders = [members for _, members in listed]
    return [
        Group(tuple(members), to, reads_of(members, to, senders, graph, edges, leaves))
        for (_, to, _), members in listed
    ]


def _targets(found: Sequence[Acting]) -> dict[Component, str]:
    """What each head is said to attend to: of what it attends to most, or nearly, what most heads beside it share."""
    shared = Counter((one.at, name) for one in found for name in one.attends)
    return {one.head: max(one.attends, key=lambda name: shared[one.at, name]) for one in found}


def _sources(
    readers: Sequence[Acting], senders: Sequence[Sequence[Acting]], graph: TransformerGraph, edges: Widths,
    leaves: tuple[Slot, ...],
) -> dict[str, tuple[Source, ...]]:  # fmt: skip
    """What the channels of a group read: groups and embeddings where patching the channel matters, by edge."""
    found: dict[str, tuple[Source, ...]] = {}
    for channel, places in _places(readers).items():
        names = [f"{one.head}.{channel}" for one in readers]
        sums: dict[Source, float] = {}
        for i, members in enumerate(senders):
            heads = [one.head for one in members]
            if members[0].at in places and _early(heads, readers, channel, graph):
                sums[i] = sum(edges.width(head, name) for head in heads for name in names)
        embedded = sum(edges.width(Component("embed"), name) for name in names)
        sums |= {place: embedded for place in places if place in leaves}
        most = max(sums.values(), default=0.0)
        if not most:  # estimates say nothing, as where the model is sure of its answer: groups come before embeddings
            sums = {source: 0.0 for source in sums if isinstance(source, int)} or sums
        found[channel] = tuple(source for source, size in sums.items() if size >= STRONG * most)
    return {channel: sources for channel, sources in found.items() if sources}


def _places(readers: Sequence[Acting]) -> dict[str, tuple[Slot, ...]]:
    """The channels that matter to what a group does, each with the positions where it does."""
    sizes = {
        channel: {slot: max(one.reads[channel][slot] for one in readers) for slot in readers[0].reads[channel]}
        for channel in CHANNELS
    }
    most = max(max(by_slot.values()) for by_slot in sizes.values())
    found: dict[str, tuple[Slot, ...]] = {}
    for channel, by_slot in sizes.items():
        largest = max(by_slot.values())
        if largest > 0 and largest >= STRONG * most:
            places = tuple(slot for slot, size in by_slot.items() if size >= STRONG * largest)
            found[channel] = places
    return found


def _early(senders: Sequence[Component], readers: Sequence[Acting], channel: str, graph: TransformerGraph) -> bool:
    """Whether every reader has a sender that it reads directly."""
    return all(any(graph.feeds(sender, one.head, channel) for sender in senders) for one in readers)


def reads_of(
    members: Sequence[Acting], target: str, groups: Sequence[Sequence[Acting]], graph: TransformerGraph,
    edges: Widths, leaves: tuple[Slot, ...],
) -> Reads:  # fmt: skip
    """What a group reads, values included: a pattern without values moves what belongs to another row.

    Where no edge says what the values are, they are those that the keys read, or the embedding attended to; nothing
    at all where that has no name.
    """
    read = _sources(members, groups, graph, edges, leaves)
    if "v" not in read:
        attended = tuple(slot for slot in leaves if str(slot) == target)
        values = read.get("k") or attended
        read |= {"v": values} | ({} if "k" in read else {"k": values})
    return read if read["v"] else {}


def _answering(there: Sequence[int], groups: Sequence[Group], edges: Widths) -> tuple[int, ...]:
    """The groups at the answer's position with a strong edge into the logits; without edges the strongest group."""
    sums = {i: sum(edges.width(one.head, "logits") for one in groups[i].members) for i in there}
    most = max(sums.values())
    if not most:
        return (max(there, key=lambda i: max(one.size for one in groups[i].members)),)
    return tuple(i for i, size in sums.items() if size >= STRONG * most)


def _reached(read: Collection[int], groups: Sequence[Group]) -> set[int]:
    arrows = nx.DiGraph(
        {i: [source for source in one.parents if isinstance(source, int)] for i, one in enumerate(groups)}
    )
    return set(read).union(*(nx.descendants(arrows, number) for number in read))


def _renumbered(group: Group, number: Mapping[int, int]) -> Group:
    def new(source: Source) -> Source:
        return number[source] if isinstance(source, int) else source

    return evolve(group, reads={channel: tuple(map(new, sources)) for channel, sources in group.reads.items()})


def _leaves(slots: Sequence[Slot], data: Dataset) -> tuple[Slot, ...]:
    """Named positions whose token is not the same in all rows; of two that are one place in some row, the first."""
    found: list[Slot] = []
    for slot in slots:
        where = data.locate(slot)
        tokens = {row.tokens[at] for row, at in zip(data.rows, where.tolist(), strict=True)}
        apart = not any((where == data.locate(other)).any() for other in found)
        if slot.name and not slot.offset and len(tokens) > 1 and apart:
            found.append(slot)
    return tuple(found)
