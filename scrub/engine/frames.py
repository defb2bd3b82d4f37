"""The rows in which channels live, and what enters a stream there: what lands, and of what passes the unclaimed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.names import LOGITS, Component
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.table import MLP_SUM, attending
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.geometry import named_slots
from scrub.claims.resolved import Claim
from scrub.engine.cache import Store
from scrub.engine.landed_hosts import Change, LandedHosts
from scrub.engine.needs import Kind, parts_held, passed_mlps
from scrub.engine.plan import Input, Stream
from scrub.engine.routing import Routing
from scrub.errors import ModelError
from scrub.model.block import entering, mlp_entering, mlp_normed, mlp_writes
from scrub.model.codes import PartCodes, known_mlp
from scrub.model.layers import mlp, some_neurons, write
from scrub.model.renorm import change_through
from scrub.model.upload import some, uploaded
from scrub.model.weights import Transformer

# a step's value: for each of its components [context, slot, width]
Value = Sequence[Float[Tensor, "context slot _"]]
Seen = Mapping[int, Float[Tensor, "... d"]]  # by the moment at which it is read


@frozen(eq=False)
class Arrivals:
    """What landed at a moment: before a norm of the layer and behind it, and where (1) neurons landed."""

    inside: Tensor | None = None
    outside: Tensor | None = None
    touched: Tensor | None = None


@runtime_checkable
class FrameAt(Protocol):
    """Arrays of the frames that a stream has, and where a site of the claim holds a component there."""

    def frame(self, kind: Kind) -> Tensor: ...
    def held(self, component: Component) -> Tensor | None: ...


def _of_layer(time: int) -> Component:
    """The attention, or the MLP, that writes at a moment."""
    layer = attending(time)
    return Component.for_mlp(time // 2) if layer is None else Component.for_attn(layer)


def total(*parts: Tensor | None) -> Tensor | None:
    """The sum of what there is; None of nothing."""
    found: Tensor | None = None
    for part in parts:
        found = part if found is None else found if part is None else found + part
    return found


@frozen(eq=False, slots=False)
class Frames:
    """The rows in which channels live: a model, its claim, and what unclaimed writers take there.

    Of mean and zero rows, `alone` is what a channel without claimed parents reads, if that is another: in `store`,
    passed-through MLPs are computed anew.
    """

    model: Transformer
    claim: Claim
    store: Store
    pseudo: bool
    alone: Store | None = None
    routing: Routing | None = None  # hears of experts
    landed: LandedHosts | None = None  # hears of hosts of latents

    def read_by(self, i: Input) -> Store:
        """The rows that an input reads where nothing lands."""
        return self.store if i.streams or self.alone is None else self.alone

    def mixing(
        self, layer: int, rows: Int[Tensor, " n"], mixed: Float[Tensor, "n *t d"],
        own: Callable[[], Float[Tensor, "n *t d"]], free: Bool[Tensor, "n t"] | None = None,
    ) -> Float[Tensor, "n *t d"]:  # fmt: skip
        """The stream that an MLP is computed on; who asks for it hears of it beside the frame's own."""
        if self.routing is not None:
            self.routing.hear(layer, own(), mixed, None if mixed.ndim == 2 else self._counted(rows, mixed, free))
        return mixed

    def landing(self, rows: Int[Tensor, " n"], slot: Slot | None, changes: list[Change]) -> list[Change]:
        """What landed in a stream at a slot, or at every position; who asks for it hears of it."""
        if self.landed is not None:
            self.landed.hear(rows, [(put, x) for put, x in changes if slot is None or put.slot == slot])
        return changes

    def _counted(
        self, rows: Int[Tensor, " n"], x: Float[Tensor, "n t d"], free: Bool[Tensor, "n t"] | None
    ) -> Bool[Tensor, "n t"]:
        """The positions of rows, padding left out, and where something is held, too."""
        real = torch.arange(x.shape[1], device=rows.device) < self.store.lengths[rows][:, None]
        return real if free is None else free & real

    @property
    def graph(self) -> TransformerGraph:
        assert isinstance(self.claim.graph, TransformerGraph)
        return self.claim.graph

    def longest(self, rows: Int[np.ndarray, " n"]) -> int:
        """Over how many positions rows lie together."""
        return int(self.claim.data.lengths[rows].max())

    def written(
        self, component: Component, slot: Slot, rows: Int[Tensor, " n"], length: int | None = None
    ) -> Float[Tensor, "n *pos width"]:
        """What a component writes on the frame, as `width` numbers: a head's z, else the vector itself."""
        kind, heads = component.array, component.taken
        found = (
            self.store.whole(kind, rows, length or 0, heads)
            if slot in (ALL, OTHER)
            else self.store.at(kind, slot, rows, heads)
        )
        return found.flatten(-2) if component.traits.attends and not component.is_part else found

    def to_stream(self, component: Component, value: Float[Tensor, "*n width"]) -> Float[Tensor, "*n d"]:
        """A component's value as it enters the stream."""
        if component.is_part:
            return self.codes.of(component).code.write(value)
        if not component.traits.attends:
            return value
        attn = self.model.blocks[component.layer or 0].attn
        heads = [component.unit or 0] if component.traits.by_unit else None
        return write(attn, value.unflatten(-1, (-1, self.model.shape.d_head)), heads)

    def to_stream_of(
        self, components: Sequence[Component], value: Float[Tensor, "*n width"]
    ) -> Float[Tensor, "*n d"]:
        """The same of one component, or of several neurons of an MLP, the numbers of all side by side."""
        if len(components) == 1:
            return self.to_stream(components[0], value)
        return value @ torch.cat([self.codes.of(c).code.rows for c in components])

    @cached_property
    def codes(self) -> PartCodes:
        return PartCodes(self.model)

    @cached_property
    def _passed(self) -> dict[int, int]:
        return passed_mlps(self.claim, self.graph, self.graph.written(LOGITS))

    def mlp_at(self, time: int) -> int | None:
        """The layer of the passed-through MLP that reads at a moment."""
        return self._passed.get(time)

    def sums(self, layer: int) -> bool:
        """Whether neurons of an MLP are claimed whose sum is normed: then it is known by what it sums."""
        block = self.model.blocks[layer]
        held = parts_held(self.claim, Component.for_mlp(layer))
        return block.post_mlp is not None and any(part.traits.scalar for part in held)

    def mlp_made(self, layer: int, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """What the MLP of a layer makes of the stream that it reads; before its norm where neurons are summed."""
        block = self.model.blocks[layer]
        if not self.sums(layer):
            return mlp_writes(block, x)
        return mlp(known_mlp(block, Component.for_mlp(layer)), mlp_normed(block, x))

    def mlp_array(self, layer: int) -> Kind:
        """The same on the frame."""
        return (MLP_SUM if self.sums(layer) else "mlp_out"), layer

    def neurons_free(self, layer: int, more: Tensor, x: Tensor, at: FrameAt) -> Tensor:
        """The change that a passed-through MLP makes, its claimed neurons and transcoder latents staying on r."""
        block, host = self.model.blocks[layer], Component.for_mlp(layer)
        more = self._latents_free(layer, more, x, at)
        held = [part for part in parts_held(self.claim, host) if part.traits.scalar]
        masks = [at.held(part) for part in held]
        there = [(part, mask) for part, mask in zip(held, masks, strict=True) if mask is not None]
        if not there:
            return more
        m = known_mlp(block, there[0][0])
        units = [part.unit or 0 for part, _ in there]
        new = some_neurons(m, mlp_normed(block, x), units)
        old = torch.cat([at.frame(part.array) for part, _ in there], -1)
        kept = torch.stack([mask for _, mask in there], -1).to(new.dtype)
        return more - ((new - old) * kept) @ some(m.W_out, units, 0).to(new)

    def _latents_free(self, layer: int, more: Tensor, x: Tensor, at: FrameAt) -> Tensor:
        coded = [self.codes.of(p) for p in parts_held(self.claim, Component.for_mlp(layer)) if p.part is not None]
        for part in (part for part in coded if part.of_input):
            if (mask := held_alone(at, part.component)) is None:
                continue
            if self.sums(layer):
                raise ModelError(
                    f"{part.component} beside neurons of mlp {layer}, whose sum is normed: what of the MLP would "
                    "pass is written before that norm and behind it. Claim one of the two."
                )
            moved = part.code.write(part.of_host(x) - at.frame(part.component.array))
            more = more - moved * mask[..., None]
        return more

    def entering(self, time: int, landed: Arrivals, passed: Tensor | None, at: FrameAt) -> Tensor | None:
        """How much a stream gains by what is written at a moment beyond the frame's; None for nothing.

        `landed` was put in, `passed` is what passed-through components write more. Where what heads write, or claimed
        neurons, is normed before it is added, the norm is that of the frame's sum and all changes. Of what passes,
        claimed parts stay on r: those of the layer's attention or MLP, and of later streams.
        """
        inside, host = landed.inside, _of_layer(time)
        if inside is None and passed is None:
            return landed.outside
        sums = attending(time) is None and self.sums(time // 2)
        normed = attending(time) is not None and self.graph.shape.post_norms
        if not sums and not normed and (passed is None or not parts_held(self.claim, host)):
            kept = None if passed is None else self._kept_out(time, passed, None, at)
            return total(inside, kept, landed.outside)
        old, base, full = (self._of_neurons if sums else self._of_sums)(time, landed, passed, at)
        kept = None if passed is None else self._kept_out(time, full, base, at)
        return total(base - old, kept, landed.outside)

    def normed(self, time: int, change: Tensor | None, at: FrameAt) -> Tensor | None:
        """A change of the stream after the norm of the stream itself at a moment, where there is one."""
        return None if change is None else change_through(self.model, time, change, at.frame)

    def _of_sums(self, time: int, landed: Arrivals, passed: Tensor | None, at: FrameAt) -> tuple[Tensor, ...]:
        """What attention, or an MLP, adds on the frame, with what landed, and with what passes too."""
        layer, found = attending(time), list[Tensor]()
        summed = at.frame(("mlp_out", time // 2) if layer is None else ("attn_out", layer))
        for more in (None, landed.inside, passed):
            summed = summed if more is None else summed + more
            found.append(summed if layer is None else entering(self.model.blocks[layer], summed))
        return tuple(found)

    def _of_neurons(self, time: int, landed: Arrivals, passed: Tensor | None, at: FrameAt) -> tuple[Tensor, ...]:
        """The same of an MLP whose neurons' sum is normed. A mean of norms is no norm of a mean: what nothing touches
        adds what it does on the frame."""
        layer = time // 2
        block, old, summed = self.model.blocks[layer], at.frame(("mlp_out", layer)), at.frame((MLP_SUM, layer))
        base, touched = old, torch.zeros_like(old[..., :1], dtype=torch.bool)
        if landed.inside is not None and landed.touched is not None:
            summed, touched = summed + landed.inside, landed.touched[..., None] > 0
            base = torch.where(touched, mlp_entering(block, summed), old)
        if passed is None:
            return old, base, base
        held = at.held(Component.for_mlp(layer))
        free = ~touched.new_zeros(touched.shape) if held is None else ~held[..., None]
        return old, base, torch.where(free | touched, mlp_entering(block, summed + passed), base)

    def _kept_out(self, time: int, full: Tensor, base: Tensor | None, at: FrameAt) -> Tensor:
        """What passes, `full - base`, without what claimed parts of the layer and of later streams would take."""
        for part in () if base is None else parts_held(self.claim, _of_layer(time)):
            inner = part.traits.scalar or self.codes.of(part).of_input  # known by what the MLP reads
            mask = None if inner else held_alone(at, part)
            if mask is not None and base is not None:
                code = self.codes.of(part).code
                old = code.encode(base)
                if attending(time) is None:  # on a mean row, the mean of what the code reads
                    old = old + at.frame(part.array) - code.encode(at.frame(("mlp_out", time // 2)))
                full = full - code.write(code.encode(full) - old) * mask[..., None]
        change = full if base is None else full - base
        for part in self._streams_after(time):
            if (mask := at.held(part)) is not None:
                if self.graph.shape.stream_norms:
                    raise ModelError(
                        f"{part} above components that are passed through: this model norms its stream itself, so "
                        "that what passes does not keep out of the part's span. Claim the whole stream, "
                        f"{part.host}, or pass nothing through below it."
                    )
                rows = self.codes.span(part)
                change = change - (change @ rows.T) @ rows * mask[..., None]
        return change

    def _streams_after(self, time: int) -> list[Component]:
        """Claimed parts of streams that hold what is written at a moment."""
        found = [c for c in self.claim.claimed_at if c.part is not None and c.traits.is_stream]
        return sorted(c for c in found if self.graph.written(c) >= time)

    def lands_inside(self, component: Component) -> bool:
        """Whether a norm of its layer is of what it writes: of heads, and of neurons."""
        traits = component.traits
        return traits.scalar or (traits.attends and (traits.by_unit or not component.is_part))

    def nameless(self, rows: Int[Tensor, " n"], length: int) -> Bool[Tensor, "n t"]:
        """The positions of frames that have no name."""
        return self._free_of(named_slots(self.claim.placement, self.claim.data), rows, length)

    def _free_of(self, slots: Iterable[Slot], rows: Int[Tensor, " n"], length: int) -> Bool[Tensor, "n t"]:
        index = torch.arange(length, device=rows.device)
        free = torch.ones(len(rows), length, dtype=torch.bool, device=rows.device)
        for slot in slots:
            free = free & (index != self.store.positions[slot][rows][:, None])
        return free

    def free(self, component: Component, stream: Stream, rows: Int[Tensor, " n"], length: int) -> Bool[Tensor, "n t"]:
        """The positions at which a passed-through component is computed anew: where it is not held."""
        slots = self.holding(component, stream)
        if ALL in slots:
            return torch.zeros(len(rows), length, dtype=torch.bool, device=rows.device)
        free = self._free_of(slots - {OTHER}, rows, length)
        return free & ~self.nameless(rows, length) if OTHER in slots else free

    def holding(self, component: Component, stream: Stream) -> set[Slot]:
        """Where sites of the claim hold a component, or a value of it lands in a stream."""
        wholes = (other for other in stream.landed if not other.is_part and component in self.graph.atoms(other))
        given = (stream.landed[other] for other in (*wholes, component) if other in stream.landed)
        slots = self.claim.claimed_at.get(component, frozenset()).union(*given)
        return {slot for slot in slots if slot is not None}

    def held(self, component: Component, slot: Slot, stream: Stream) -> Bool[Tensor, " row"] | None:
        """The rows of `held_rows`, on the device."""
        held = self.held_rows(component, slot, stream)
        return None if held is None else uploaded([held], self.model.device)[0]

    def held_rows(self, component: Component, slot: Slot, stream: Stream) -> Bool[np.ndarray, " row"] | None:
        """Rows in which a component is held at the position of a slot; None: in no row."""
        data = self.claim.data
        held = np.zeros(len(data), dtype=bool)
        for where in self.holding(component, stream):
            if where != OTHER:  # a stream at a slot has a name
                held |= True if where == ALL else data.locate(where) == data.locate(slot)
        return held if held.any() else None


@frozen(eq=False)
class AtSlot:
    """A stream at one slot."""

    frames: Frames
    stream: Stream
    slot: Slot
    rows: Int[Tensor, " n"]

    def frame(self, kind: Kind) -> Float[Tensor, "n width"]:
        return self.frames.store.at(kind, self.slot, self.rows)

    def held(self, component: Component) -> Bool[Tensor, " n"] | None:
        found = self.frames.held(component, self.slot, self.stream)
        return None if found is None else found[self.rows]


@frozen(eq=False)
class Everywhere:
    """A stream at every position."""

    frames: Frames
    stream: Stream
    length: int
    rows: Int[Tensor, " n"]

    def frame(self, kind: Kind) -> Float[Tensor, "n t width"]:
        return self.frames.store.whole(kind, self.rows, self.length)

    def held(self, component: Component) -> Bool[Tensor, "n t"] | None:
        if not self.frames.holding(component, self.stream):
            return None
        return ~self.frames.free(component, self.stream, self.rows, self.length)


def held_alone(at: FrameAt, part: Component) -> Tensor | None:
    """Where a part is held and its host is not: of a host that stays on r nothing is left to take."""
    held, host = at.held(part), at.held(part.host)
    return held if held is None or host is None else held & ~host
