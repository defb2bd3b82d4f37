"""Which activations of the rows a program asks for: the row cache keeps these and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.table import START, attention_time, stream_at
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.plan import Input, Leaf, Program, SiteShape, Stream
from scrub.model.renorm import summands

Kind = tuple[str, int]  # an array of `scrub.model.trace.trace`, and its layer


@frozen
class Need:
    """Arrays by kind: at which slots (None: at every position), and of which heads (empty: it has none)."""

    slots: dict[Kind, set[Slot | None]] = field(factory=dict[Kind, "set[Slot | None]"])
    heads: dict[Kind, set[int]] = field(factory=dict[Kind, "set[int]"])

    def add(self, kind: Kind, slot: Slot | None, heads: Iterable[int] = ()) -> None:
        self.slots.setdefault(kind, set()).add(None if slot in (ALL, OTHER) else slot)
        self.heads.setdefault(kind, set()).update(heads)

    def whole(self, kind: Kind) -> bool:
        return None in self.slots[kind]

    def merge(self, other: Need) -> None:
        for kind, slots in other.slots.items():
            for slot in slots:
                self.add(kind, slot, other.heads[kind])


def needs(claim: Claim, program: Program) -> tuple[Need, Need]:
    """What is needed of the rows on which leaves are computed, and of the frames (rows, or mean and zero rows)."""
    graph = claim.graph
    assert isinstance(graph, TransformerGraph)
    leaves, frames = Need(), Need()
    asked = _OfFrames(frames, claim, graph, program.dense)
    for number, step in enumerate(program.steps):
        if isinstance(step, Leaf):
            for component in step.components:
                for slot in step.slots:
                    add_written(leaves, graph, component, slot)
        elif isinstance(step, Stream):
            asked.stream(step, program.times.get(number, ()))
        else:
            asked.shape(step)
    return leaves, frames


def add_written(need: Need, graph: TransformerGraph, component: Component, slot: Slot | None) -> None:
    """What a component writes at a slot."""
    need.add(component.array, slot, component.heads(graph.shape))


def passed_mlps(claim: Claim, graph: TransformerGraph, until: int) -> dict[int, int]:
    """Layers whose MLP is passed through and writes before a moment, by the moment at which it reads."""
    found = [c for c in sorted(claim.passed) if c.traits.local and graph.written(c) < until]
    return {graph.read(c): c.layer or 0 for c in found}


def passed_heads(claim: Claim, until: int) -> dict[int, list[int]]:
    """Passed-through heads by layer, those that write before a moment."""
    found: dict[int, list[int]] = {}
    for c in sorted(claim.passed):
        if c.traits.attends and attention_time(c.layer or 0) < until:
            found.setdefault(c.layer or 0, []).append(c.unit or 0)
    return found


@frozen
class _OfFrames:
    """What steps of a program ask of the frames; `dense` programs look at every position."""

    need: Need
    claim: Claim
    graph: TransformerGraph
    dense: bool

    def stream(self, step: Stream, times: tuple[int, ...]) -> None:
        """A stream at each moment at which it is read, and what is passed through on the way."""
        need, graph, slot = self.need, self.graph, None if self.dense else step.slot
        for time in times:
            need.add(stream_at(time), slot)
        for landing in step.landings:
            add_written(need, graph, landing.component, landing.slot)
            if graph.shape.post_norms and landing.component.traits.attends:
                need.add(("attn_out", landing.component.layer or 0), slot)
        until = max(times, default=0)
        self._normed(step, slot, until)
        for time, layer in passed_mlps(self.claim, graph, until).items():
            need.add(stream_at(time), slot)
            need.add(("mlp_out", layer), slot)
        for layer, heads in passed_heads(self.claim, until).items():
            need.add(("resid_pre", layer), None)
            need.add(("z", layer), None, heads)
            if graph.shape.post_norms:
                need.add(("attn_out", layer), None)

    def _normed(self, step: Stream, slot: Slot | None, until: int) -> None:
        """What norms of the stream itself read, from the first change on."""
        written = [self.graph.written(landing.component) for landing in step.landings]
        first = START if self.claim.options.pseudo else min(written, default=until)
        for kind in (kind for time in range(first, until) for kind in summands(self.graph.shape, time)):
            self.need.add(kind, slot)

    def shape(self, step: SiteShape) -> None:
        """What the channels of a site read where nothing landed."""
        for i in step.inputs:
            for component in i.components:
                for slot in _unseen(step, i):
                    self._channel(component, i.channel, slot)

    def _channel(self, component: Component, channel: str, slot: Slot | None) -> None:
        need, layer, shape = self.need, component.layer or 0, self.graph.shape
        if heads := component.heads(shape):
            if channel != "q":  # with grouped queries several heads share one key and value
                heads = sorted({head * shape.n_kv_heads // shape.n_heads for head in heads})
            need.add((channel, layer), slot, heads)
        elif component.traits.is_stream or (component.traits.local and self.claim.options.pseudo):
            need.add(stream_at(self.graph.read(component)), slot)
        else:
            add_written(need, self.graph, component, slot)


def _unseen(step: SiteShape, i: Input) -> Iterator[Slot | None]:
    """The slots at which an input reads its frame as it is; keys and values do so at every position."""
    seen = {slot for slot, _ in i.streams}
    if None in seen:
        return
    if i.channel in ("k", "v"):
        yield None
    else:
        yield from (slot for slot in step.slots if slot not in seen)
