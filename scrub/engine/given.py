"""A claim whose occurrences get back some of what they lack, as a change of its unrolled tree.

An occurrence is given the value of one sender on the calling row, read through one channel at one slot, where it
reads r in the claim: as if a parent stood there whose donor is the calling row. Or it is given its whole rest: r is
the calling row. Either way all else is drawn as in the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.geometry import named_slots
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.claims.values import digest
from scrub.engine.unroll import DONOR, REST, Occurrence, channels
from scrub.model.computation import Computation


@frozen
class Gift:
    """A sender's value, read through a channel of the occurrence at `path`, at a slot (None in a graph)."""

    path: str
    channel: str
    sender: Component
    at: Slot | None = None

    def __str__(self) -> str:
        return f"{self.channel} given {self.sender}{'' if self.at is None else f' @ {self.at}'}"


def with_gifts(tree: Occurrence, gifts: Collection[Gift]) -> Occurrence:
    """The tree in which occurrences are given values of the calling row."""
    mark = f" with {digest(sorted(f'{gift.path} {gift}' for gift in gifts), size=8)}"

    def given(node: Occurrence) -> Occurrence:
        mine = [gift for gift in gifts if gift.path == node.path.removesuffix(mark)]
        return evolve(node, children=(*node.children, *map(_child, mine)))

    return _changed(tree, {gift.path for gift in gifts}, given, mark)


def with_own_rest(tree: Occurrence, path: str) -> Occurrence:
    """The tree in which the rest of one occurrence is the calling row."""
    mark = f" at its own rest {digest(path, size=8)}"
    return _changed(tree, {path}, lambda node: evolve(node, own=node.own | {REST}), mark)


def _child(gift: Gift) -> Occurrence:
    site = Site((gift.sender,), () if gift.at is None else (gift.at,))
    path = f"{gift.path}/{gift}"
    return Occurrence("", PlacedSite(site), path, (gift.channel,), True, (), path, own=frozenset([DONOR]))


def _changed(
    tree: Occurrence, paths: Collection[str], change: Callable[[Occurrence], Occurrence], mark: str
) -> Occurrence:
    """A tree some of whose occurrences are changed; these, and all that read them, get a mark to their paths."""

    def visit(node: Occurrence) -> Occurrence:
        children = tuple(visit(child) if _leads(child, paths) else child for child in node.children)
        found = evolve(node, children=children, path=node.path + mark)
        return change(found) if node.path in paths else found

    return visit(tree)


def _leads(node: Occurrence, paths: Collection[str]) -> bool:
    return any(path == node.path or path.startswith(f"{node.path}/") for path in paths)


def left_out_of(claim: Claim, node: Occurrence) -> Iterator[Gift]:
    """All that one occurrence might be given: each unclaimed sender, through each channel, at each position.

    In a transformer senders are the finest writers, and all heads of a layer as one. `q` and `input` read the
    occurrence's own positions. `k` and `v` read every position that the mask shows: those with a name in every row,
    each alone, and all others together where rows that meet have one length. A sender that some parent gives there,
    or a mate of a linked site, is not left out. In a computation graph a channel reads the node of its name, and what
    leads there through passed-through nodes.
    """
    for channel in dict.fromkeys(c for one in node.placed.site.components for c in channels(claim, one)):
        readers = [c for c in node.placed.site.components if channel in claim.graph.channels(c)]
        if readers and isinstance(claim.graph, Computation):
            yield from _on_graph(claim, claim.graph, node, channel)
        elif readers:
            yield from _on_transformer(claim, node, channel, readers)


def _on_graph(claim: Claim, model: Computation, node: Occurrence, channel: str) -> Iterator[Gift]:
    given = {c for child in node.children if channel in child.channels for c in child.given}
    given |= set(node.placed.site.components) if node.placed.site.is_linked else set()
    ahead, met = [channel], set[str]()
    while ahead:
        name = ahead.pop()
        component = Component.for_node(name)
        if name in met or component in given:
            continue
        met.add(name)
        yield Gift(node.path, channel, component)
        if component in claim.passed and (component, None) not in claim.claimed:
            ahead += model.nodes[name].arguments


def _on_transformer(claim: Claim, node: Occurrence, channel: str, readers: list[Component]) -> Iterator[Gift]:
    graph = claim.graph
    assert isinstance(graph, TransformerGraph)
    layers = range(graph.shape.n_layers if graph.shape.n_heads > 1 else 0)
    senders = [*graph.writers(), *(Component.for_attn(layer) for layer in layers)]
    for at in _places(claim, node, channel):
        taken = _taken(claim, node, channel, at)
        for sender in senders:
            read = any(graph.feeds(sender, reader, channel) for reader in readers)
            if read and not graph.atoms(sender) & taken:
                yield Gift(node.path, channel, sender, at)


def _places(claim: Claim, node: Occurrence, channel: str) -> list[Slot]:
    own = node.placed.site.at
    if channel not in ("k", "v") or ALL in own:
        return list(own)
    found = [s for s in named_slots(claim.placement, claim.data) if any(_shown(claim, s, here) for here in own)]
    return [*found, OTHER] if aligned(claim) else found


def _shown(claim: Claim, slot: Slot, here: Slot) -> bool:
    """Whether the mask shows a slot to a reader in some row."""
    return not claim.graph.causal or bool((claim.data.locate(slot) <= claim.data.locate(here)).any())


def aligned(claim: Claim) -> bool:
    """Whether rows that meet have one length, so that positions without a name can be aligned by index."""
    lengths, stratum = claim.data.lengths, claim.stratum
    first = np.zeros(int(stratum.max()) + 1, dtype=np.int64)
    first[stratum] = lengths
    paired = claim.options.rest != "paired" or bool(
        (lengths[claim.partner(np.arange(len(lengths)))] == lengths).all()
    )
    return paired and bool((first[stratum] == lengths).all())


def _taken(claim: Claim, node: Occurrence, channel: str, at: Slot) -> frozenset[Component]:
    """The finest components that a parent, or a linked mate, gives a channel at a slot in some row.

    Of a host of which a part is given, none: given whole, it would bring that part twice.
    """
    sources = [(child.given, child.placed.site.at) for child in node.children if channel in child.channels]
    if node.placed.site.is_linked:
        sources.append((node.placed.site.components, node.placed.site.at))
    lying = {
        c.host for given, places in sources if _meet(claim, at, places) for c in given if not c.traits.is_channel
    }
    return frozenset(atom for c in lying for atom in claim.graph.atoms(c))


def _meet(claim: Claim, at: Slot, places: tuple[Slot, ...]) -> bool:
    """Whether a slot is a position of a site in some row; a site's positions all have names."""
    if at == OTHER:
        return ALL in places
    return ALL in (at, *places) or any((claim.data.locate(at) == claim.data.locate(p)).any() for p in places)
