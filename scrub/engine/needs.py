"""Which activations of the rows a program asks for: the row cache keeps these and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.shape import Shape
from scrub.anatomy.table import MLP_SUM, attention_time, before_angles, stream_at
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.plan import Input, Leaf, Program, SiteShape, Stream

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
        self.slots.setdefault(kind, set()).add(None if slot == ALL else slot)
        self.heads.setdefault(kind, set()).update(heads)

    def whole(self, kind: Kind) -> bool:
        return None in self.slots[kind]

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
    for number, step in enumerate(program.steps):
        if isinstance(step, Leaf):
            for component in step.components:
                for slot in step.slots:
                    add_written(leaves, graph, component, slot)
        elif isinstance(step, Stream):
            _stream(frames, claim, graph, step, program.times.get(number, ()), program.dense)
        else:
            _shape(frames, claim, graph, step, program.dense)
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


def _stream(
    need: Need, claim: Claim, graph: TransformerGraph, step: Stream, times: tuple[int, ...], dense: bool
) -> None:
    if step.put is not None:  # shown as it is
        return
    slot = None if dense else step.slot
    for time in times:
        need.add(stream_at(time), slot)
    for landing in step.landings:
        add_written(need, graph, landing.component, landing.slot)
        if graph.shape.post_norms and landing.component.traits.attends:
            need.add(("attn_out", landing.component.layer or 0), slot)
        if graph.shape.post_norms and landing.component.traits.scalar:
            for array in (MLP_SUM, "mlp_out"):
                need.add((array, landing.component.layer or 0), slot)
    until = max(times, default=0)
    for time, layer in passed_mlps(claim, graph, until).items():
        need.add(stream_at(time), slot)
        need.add(("mlp_out", layer), slot)
        if graph.shape.post_norms:
            need.add((MLP_SUM, layer), slot)
        _held_parts(need, claim, graph, {Component.for_mlp(layer)}, slot)
    for layer, heads in passed_heads(claim, until).items():
        need.add(("resid_pre", layer), None)
        need.add(("z", layer), None, heads)
        held = _held_parts(need, claim, graph, {Component.for_head(layer, head) for head in heads}, None)
        if graph.shape.post_norms or parts_held(claim, Component.for_attn(layer)):
            need.add(("attn_out", layer), None)
        for part in (part for part in held if part.traits.is_channel):
            _before(need, graph, part, None)


def parts_held(claim: Claim, host: Component) -> list[Component]:
    """The parts of a host that sites of the claim hold somewhere, in order."""
    return sorted({c for c, _ in claim.claimed if c.is_part and c.host == host})


def _held_parts(
    need: Need, claim: Claim, graph: TransformerGraph, hosts: set[Component], slot: Slot | None
) -> list[Component]:
    """What parts of passed-through hosts are on the frame, where they stay."""
    found = [part for host in sorted(hosts) for part in parts_held(claim, host)]
    for part in found:
        add_written(need, graph, part, slot)
    return found


def _before(need: Need, graph: TransformerGraph, component: Component, slot: Slot | None) -> None:
    """What a head makes of a channel, before rotary angles."""
    need.add((before_angles(component.kind), component.layer or 0), slot, [held_head(graph.shape, component)])


def held_head(shape: Shape, component: Component) -> int:
    """The head that holds a query head's query, key or value: for the last two, of those that share them."""
    head = component.unit or 0
    return head if component.kind == "q" else head * shape.n_kv_heads // shape.n_heads


def _shape(need: Need, claim: Claim, graph: TransformerGraph, step: SiteShape, dense: bool) -> None:
    for i in step.inputs:
        for component in i.components:
            for slot in _unseen(step, i, dense):
                _read(need, claim, graph, component, i.channel, slot)
        for landing, _ in i.puts:
            for slot in step.slots if i.channel == "q" else (None,):
                _before(need, graph, landing.component, slot)


def _unseen(step: SiteShape, i: Input, dense: bool) -> Iterator[Slot | None]:
    """The slots at which an input reads its frame as it is; keys and values do so at every position."""
    seen = {slot for slot, _ in i.streams}
    if None in seen:
        return
    if i.channel in ("k", "v"):
        yield None
    else:
        yield from (slot for slot in step.slots if slot not in seen)


def _read(
    need: Need, claim: Claim, graph: TransformerGraph, component: Component, channel: str, slot: Slot | None
) -> None:
    layer, shape = component.layer or 0, graph.shape
    if heads := component.heads(shape):
        if channel != "q":
            heads = sorted({head * shape.n_kv_heads // shape.n_heads for head in heads})
        need.add((channel, layer), slot, heads)
    elif component.traits.is_channel:
        add_written(need, graph, component, slot)
    elif (component.traits.is_stream and not component.is_part) or (
        component.host.traits.local and claim.options.pseudo
    ):
        need.add(stream_at(graph.read(component)), slot)
    else:
        add_written(need, graph, component, slot)
