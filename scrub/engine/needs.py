"""Which activations of the rows a program asks for: the row cache keeps these and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.shape import Shape
from scrub.anatomy.table import MLP_SUM, START, attention_time, before_angles, stream_at, summands
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.plan import Input, Landing, Leaf, Program, SiteShape, Stream

Kind = tuple[str, int]  # an array of `scrub.model.trace.trace`, and its layer


@frozen
class Need:
    """Arrays by kind: at which slots (None: at every position), and of which heads (empty: it has none).

    `parts` are those arrays that a pass does not tell: what the code of a part reads of one that it tells.
    """

    slots: dict[Kind, set[Slot | None]] = field(factory=dict[Kind, "set[Slot | None]"])
    heads: dict[Kind, set[int]] = field(factory=dict[Kind, "set[int]"])
    parts: dict[Kind, Component] = field(factory=dict[Kind, Component])

    def add(self, kind: Kind, slot: Slot | None, heads: Iterable[int] = ()) -> None:
        self.slots.setdefault(kind, set()).add(None if slot in (ALL, OTHER) else slot)
        self.heads.setdefault(kind, set()).update(heads)

    def whole(self, kind: Kind) -> bool:
        return None in self.slots[kind]

    def numbers(self, shape: Shape, rows: int, longest: int) -> int:
        """How many numbers the arrays of so many rows have; one for whole rows lies over all positions."""
        places = {kind: longest if self.whole(kind) else len(slots) for kind, slots in self.slots.items()}
        return rows * sum(count * self._width(kind, shape) for kind, count in places.items())

    def _width(self, kind: Kind, shape: Shape) -> int:
        if (coded := self.parts.get(kind)) is not None:
            return coded.part.size if coded.part else 1
        if heads := self.heads[kind]:
            return len(heads) * shape.d_head
        return shape.d_mlp if kind[0] == "neurons" else shape.d_model

    def merge(self, other: Need) -> None:
        for kind, slots in other.slots.items():
            for slot in slots:
                self.add(kind, slot, other.heads[kind])
        self.parts.update(other.parts)


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
    if component.is_part:
        need.parts[component.array] = component
    need.add(component.array, slot, () if component.is_part else component.heads(graph.shape))


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


def parts_held(claim: Claim, host: Component) -> tuple[Component, ...]:
    """The parts of a host that sites of the claim hold somewhere, in order."""
    return claim.claimed_parts.get(host, ())


def held_head(shape: Shape, component: Component) -> int:
    """The head that holds a query head's query, key or value: for the last two, of those that share them."""
    head = component.unit or 0
    return head if component.kind == "q" else head * shape.n_kv_heads // shape.n_heads


@frozen
class _OfFrames:
    """What steps of a program ask of the frames; `dense` programs look at every position."""

    need: Need
    claim: Claim
    graph: TransformerGraph
    dense: bool

    def stream(self, step: Stream, times: tuple[int, ...]) -> None:
        """A stream at each moment at which it is read, what lands, and what is passed through on the way."""
        if step.put is not None:  # shown as it is
            return
        slot, until = None if self.dense else step.slot, max(times, default=0)
        for time in times:
            self.need.add(stream_at(time), slot)
        for landing in step.landings:
            self._landing(landing, slot)
        self._normed(step, slot, until)
        for time, layer in passed_mlps(self.claim, self.graph, until).items():
            self._mlp(time, layer, slot)
        for layer, heads in passed_heads(self.claim, until).items():
            self._heads(layer, heads)

    def _landing(self, landing: Landing, slot: Slot | None) -> None:
        component, need = landing.component, self.need
        add_written(need, self.graph, component, landing.slot)
        if self.graph.shape.post_norms and component.traits.attends:
            need.add(("attn_out", component.layer or 0), slot)
        if self.graph.shape.post_norms and component.traits.scalar:
            for array in (MLP_SUM, "mlp_out"):
                need.add((array, component.layer or 0), slot)

    def _mlp(self, time: int, layer: int, slot: Slot | None) -> None:
        self.need.add(stream_at(time), slot)
        self.need.add(("mlp_out", layer), slot)
        if self.graph.shape.post_norms:
            self.need.add((MLP_SUM, layer), slot)
        self._held({Component.for_mlp(layer)}, slot)

    def _heads(self, layer: int, heads: list[int]) -> None:
        self.need.add(("resid_pre", layer), None)
        self.need.add(("z", layer), None, heads)
        held = self._held({Component.for_head(layer, head) for head in heads}, None)
        if self.graph.shape.post_norms or parts_held(self.claim, Component.for_attn(layer)):
            self.need.add(("attn_out", layer), None)
        for part in (part for part in held if part.traits.is_channel):
            self._before(part, None)

    def _held(self, hosts: set[Component], slot: Slot | None) -> list[Component]:
        """What parts of passed-through hosts are on the frame, where they stay."""
        found = [part for host in sorted(hosts) for part in parts_held(self.claim, host)]
        for part in found:
            add_written(self.need, self.graph, part, slot)
        return found

    def _before(self, component: Component, slot: Slot | None) -> None:
        """What a head makes of a channel, before rotary angles."""
        head = held_head(self.graph.shape, component)
        self.need.add((before_angles(component.kind), component.layer or 0), slot, [head])

    def _normed(self, step: Stream, slot: Slot | None, until: int) -> None:
        """What norms of the stream itself read, from the first change on."""
        written = [self.graph.written(landing.component) for landing in step.landings]
        first = START if self.claim.options.pseudo else min(written, default=until)
        for kind in (kind for time in range(first, until) for kind in summands(self.graph.shape, time)):
            self.need.add(kind, slot)

    def shape(self, step: SiteShape) -> None:
        """What the channels of a site read where nothing landed, and what parts of channels are put into."""
        for i in step.inputs:
            for component in i.components:
                for slot in _unseen(step, i):
                    self._channel(component, i.channel, slot)
            for landing, _ in i.puts:
                for slot in step.slots if i.channel == "q" else (None,):
                    self._before(landing.component, slot)

    def _channel(self, component: Component, channel: str, slot: Slot | None) -> None:
        need, layer, shape = self.need, component.layer or 0, self.graph.shape
        if heads := component.heads(shape):
            if channel != "q":  # with grouped queries several heads share one key and value
                heads = sorted({head * shape.n_kv_heads // shape.n_heads for head in heads})
            need.add((channel, layer), slot, heads)
        elif not component.traits.is_channel and self._of_stream(component):
            need.add(stream_at(self.graph.read(component)), slot)
        else:
            add_written(need, self.graph, component, slot)

    def _of_stream(self, component: Component) -> bool:
        """Whether a component is computed from the stream that it reads, even where nothing landed."""
        whole_stream = component.traits.is_stream and not component.is_part
        return whole_stream or (component.host.traits.local and self.claim.options.pseudo)


def _unseen(step: SiteShape, i: Input) -> Iterator[Slot | None]:
    """The slots at which an input reads its frame as it is; keys and values do so at every position."""
    seen = {slot for slot, _ in i.streams}
    if None in seen:
        return
    if i.channel in ("k", "v"):
        yield None
    else:
        yield from (slot for slot in step.slots if slot not in seen)
