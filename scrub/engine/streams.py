"""What channels of a transformer see: the frame's stream plus the change that landed values make.

`x = resid[r] + D`, where D sums (new - old) of what landed, and of every passed-through component that sees a
change. MLPs stay at their position, so a stream lives at one slot; passed-through heads need every position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from attrs import evolve, frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.names import LOGITS, Component
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.table import CHANNELS, attending, attention_time, mlp_time, stream_at
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.geometry import named_slots
from scrub.claims.resolved import Claim
from scrub.engine.cache import Store
from scrub.engine.needs import Kind, passed_heads, passed_mlps
from scrub.engine.plan import Landing, Stream
from scrub.engine.routing import Routing
from scrub.model.block import change_entering, mixed, mlp_writes, positions_of, read_heads
from scrub.model.layers import write
from scrub.model.renorm import change_through
from scrub.model.weights import Transformer

# a step's value: for each of its components [context, slot, width]
Value = Sequence[Float[Tensor, "context slot width"]]
Seen = Mapping[int, Float[Tensor, "... d"]]  # by the moment at which it is read


@frozen(eq=False, slots=False)
class Frames:
    """The rows in which channels live: a model, its claim, and what unclaimed writers take there."""

    model: Transformer
    claim: Claim
    store: Store
    pseudo: bool
    routing: Routing | None = None  # hears of experts

    def mixing(
        self, layer: int, rows: Int[Tensor, " n"], mixed: Float[Tensor, "n *t d"],
        own: Callable[[], Float[Tensor, "n *t d"]], free: Bool[Tensor, "n t"] | None = None,
    ) -> Float[Tensor, "n *t d"]:  # fmt: skip
        """The stream that an MLP is computed on; who asks for it hears of it beside the frame's own."""
        if self.routing is not None:
            self.routing.hear(layer, own(), mixed, None if mixed.ndim == 2 else self._counted(rows, mixed, free))
        return mixed

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

    def written(
        self, component: Component, slot: Slot, rows: Int[Tensor, " n"], length: int | None = None
    ) -> Float[Tensor, "n *pos width"]:
        """What a component writes on the frame, as `width` numbers: a head's z, else the vector itself."""
        kind = component.array
        heads = [component.unit or 0] if component.traits.by_unit else None
        found = (
            self.store.whole(kind, rows, length or 0, heads)
            if slot in (ALL, OTHER)
            else self.store.at(kind, slot, rows, heads)
        )
        return found.flatten(-2) if component.traits.attends else found

    def to_stream(self, component: Component, value: Float[Tensor, "*n width"]) -> Float[Tensor, "*n d"]:
        """A component's value as it enters the stream."""
        if not component.traits.attends:
            return value
        attn = self.model.blocks[component.layer or 0].attn
        heads = [component.unit or 0] if component.traits.by_unit else None
        return write(attn, value.unflatten(-1, (-1, self.model.shape.d_head)), heads)

    @cached_property
    def _passed(self) -> dict[int, int]:
        return passed_mlps(self.claim, self.graph, self.graph.written(LOGITS))

    def mlp_at(self, time: int) -> int | None:
        """The layer of the passed-through MLP that reads at a moment."""
        return self._passed.get(time)

    def entering(
        self, time: int, change: Float[Tensor, "*n d"], out: Callable[[Kind], Float[Tensor, "*n d"]]
    ) -> Float[Tensor, "*n d"]:
        """How much a stream gains by what is written at a moment beyond the frame's; `out` gives arrays of the frame.

        Where what heads write is normed before it is added, the norm is that of the frame's sum and the change.
        """
        layer = attending(time)
        if layer is None:
            return change
        return change_entering(self.model.blocks[layer], change, lambda: out(("attn_out", layer)))

    def normed(
        self, time: int, change: Float[Tensor, "*n d"] | None, out: Callable[[Kind], Float[Tensor, "*n d"]]
    ) -> Float[Tensor, "*n d"] | None:
        """A change of the stream after the norm of the stream itself at a moment, where there is one."""
        return None if change is None else change_through(self.model, time, change, out)

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
        slots = self._holding(component, stream)
        if ALL in slots:
            return torch.zeros(len(rows), length, dtype=torch.bool, device=rows.device)
        free = self._free_of(slots - {OTHER}, rows, length)
        return free & ~self.nameless(rows, length) if OTHER in slots else free

    def _holding(self, component: Component, stream: Stream) -> set[Slot]:
        """Where sites of the claim hold a component, or a value of it lands in a stream."""
        landed = ((landing.component, landing.slot) for landing in stream.landings)
        given = {slot for other, slot in landed if component in self.graph.atoms(other)}
        slots = {where for other, where in self.claim.claimed if other == component} | given
        return {slot for slot in slots if slot is not None}

    def held(self, component: Component, slot: Slot, stream: Stream) -> Bool[Tensor, " row"] | None:
        """Rows in which a component is held at the position of a slot; None: in no row."""
        data = self.claim.data
        held = np.zeros(len(data), dtype=bool)
        for where in self._holding(component, stream):
            if where != OTHER:  # a stream at a slot has a name
                held |= True if where == ALL else data.locate(where) == data.locate(slot)
        return torch.from_numpy(held).to(self.model.device) if held.any() else None


def streams_at_slots(frames: Frames, streams: Sequence[SlotStream]) -> list[Seen]:
    """Streams at one slot each, run side by side so that each layer's MLP is called once for all of them."""
    for time in range(-1, max(stream.last for stream in streams) + 1):
        live = [stream for stream in streams if stream.advance(time)]
        layer = frames.mlp_at(time)
        asking = [stream for stream in live if layer is not None and stream.asks(layer)]
        if asking and layer is not None:
            inputs = [stream.mlp_input(layer, time) for stream in asking]
            outputs = mlp_writes(frames.model.blocks[layer], torch.cat(inputs)).split([len(x) for x in inputs])
            for stream, output in zip(asking, outputs, strict=True):
                stream.mlp_output(layer, output)
        for stream in live:
            stream.write(time)
    return [stream.seen for stream in streams]


class SlotStream:
    """One stream at a slot on its way through the layers: `[n, d]` at each moment at which it is read.

    Contexts stand in the order of the last moment at which they are read (`until`); those that nobody reads any
    more are dropped from the end. MLPs are computed only where something changed: no change stays no change.
    """

    def __init__(self, landed: Landed, times: Sequence[int], until: Int[np.ndarray, " n"]) -> None:
        assert landed.stream.slot is not None
        self.landed, self.frames, self.slot = landed, landed.frames, landed.stream.slot
        self.times, self.contexts, self.until = times, landed.contexts, until
        self.last, self.shortest = int(until[0]), int(until[-1])
        self.landing = {self.frames.graph.written(landing.component) for landing in landed.stream.landings}
        self.change: Tensor | None = None
        self.pending: dict[int, Tensor] = {}
        self.seen: dict[int, Tensor] = {}
        self.moved: Tensor | None = None  # numbers of the contexts that the MLP is asked about, None for all

    def advance(self, time: int) -> bool:
        """Drop contexts that are not read any more and show the stream to its readers; False at its end."""
        if time > self.last:
            return False
        if time > self.shortest:
            live = int((self.until >= time).sum())
            self.contexts = self.contexts[:live]
            self.change = None if self.change is None else self.change[:live]
        # Before anything of this moment is written: a component never reads what it writes itself.
        if time in self.times:
            x = self.frames.store.at(stream_at(time), self.slot, self.contexts[:, 0])
            self.seen[time] = x if self.change is None else x + self.change
        return True

    def asks(self, layer: int) -> bool:
        """Whether the MLP of a layer sees a change and writes before the last reader looks."""
        return self.change is not None and mlp_time(layer) < self.last

    def mlp_input(self, layer: int, time: int) -> Float[Tensor, "moved d"]:
        """What the MLP that reads at a moment sees, in the contexts in which it sees a change."""
        assert self.change is not None
        # Exactly 0, not nearly: a row that lends to itself copies the same numbers, and their difference is 0 bit by
        # bit.
        moved = (self.change != 0).any(1)
        held = self.frames.held(Component.for_mlp(layer), self.slot, self.landed.stream)
        moved = moved if held is None else moved & ~held[self.contexts[:, 0]]
        self.moved = None if bool(moved.all()) else moved.nonzero()[:, 0]
        x = self.frames.store.at(stream_at(time), self.slot, self._asked(self.contexts[:, 0]))
        return self.frames.mixing(layer, self._asked(self.contexts[:, 0]), x + self._asked(self.change), lambda: x)

    def mlp_output(self, layer: int, output: Float[Tensor, "moved d"]) -> None:
        """How much the MLP writes more than on the frame; nothing where a site of the claim holds it."""
        assert self.change is not None
        more = output - self.frames.store.at(("mlp_out", layer), self.slot, self._asked(self.contexts[:, 0]))
        if self.moved is not None:
            more = torch.zeros_like(self.change).index_copy(0, self.moved, more)
        self.pending[mlp_time(layer)] = more

    def _of_frame(self, kind: Kind) -> Float[Tensor, "n d"]:
        return self.frames.store.at(kind, self.slot, self.contexts[:, 0])

    def _asked(self, x: Tensor) -> Tensor:
        return x if self.moved is None else x.index_select(0, self.moved)

    def write(self, time: int) -> None:
        """Add what is written at a moment: landed values, and MLPs that saw a change."""
        new = [self.pending.pop(time)] if time in self.pending else []
        late: list[Tensor] = []
        if time in self.landing:
            landed = evolve(self.landed, contexts=self.contexts)
            for streams, found in ((False, new), (True, late)):
                change = landed.at_slot(time, self.slot, streams)
                found += [] if change is None else [self.frames.entering(time, change, self._of_frame)]
        self._add(new)
        if time < self.last:
            self.change = self.frames.normed(time, self.change, self._of_frame)
        self._add(late)

    def _add(self, changes: Sequence[Tensor]) -> None:
        live = len(self.contexts)
        for change in changes:
            self.change = change[:live] if self.change is None else self.change + change[:live]


@frozen(eq=False)
class Landed:
    """The changes that landed values make, by the moment at which they are written."""

    frames: Frames
    stream: Stream
    contexts: Int[Tensor, "n column"]
    values: Mapping[int, Value]

    def changes(
        self, time: int, streams: bool, length: int | None = None
    ) -> list[tuple[Landing, Float[Tensor, "n *pos d"]]]:
        """Each landing written at a moment with its (new - old) in the stream: of whole `streams`, or of others."""
        rows, found = self.contexts[:, 0], list[tuple[Landing, Tensor]]()
        for landing in self.stream.landings:
            component = landing.component
            if self.frames.graph.written(component) == time and component.traits.is_stream == streams:
                assert landing.slot is not None
                number = self.contexts[:, 1 + self.stream.sources.index(landing.source)]
                new = self.values[landing.source][landing.index].index_select(0, number)
                new = new[:, :length] if landing.slot in (ALL, OTHER) else new[:, landing.column]
                old = self.frames.written(landing.component, landing.slot, rows, length)
                found.append((landing, self.frames.to_stream(landing.component, new - old)))
        return found

    def at_slot(self, time: int, slot: Slot, streams: bool) -> Float[Tensor, "n d"] | None:
        """The change at one slot; landings at other slots count in the rows where the positions coincide."""
        total: Tensor | None = None
        positions = self.frames.store.positions
        for landing, change in self.changes(time, streams):
            # Two names may stand for one position, in some rows and not in others.
            if landing.slot != slot and landing.slot is not None:
                same = positions[landing.slot] == positions[slot]
                change = change * same[self.contexts[:, 0]][:, None]
            total = change if total is None else total + change
        return total

    def everywhere(self, time: int, length: int, streams: bool) -> Float[Tensor, "n t d"] | None:
        """The change at every position."""
        total: Tensor | None = None
        rows = self.contexts[:, 0]
        for landing, change in self.changes(time, streams, length):
            if total is None:
                total = change.new_zeros(len(rows), length, change.shape[-1])
            if landing.slot == ALL:
                total = total + change
            elif landing.slot == OTHER:
                total = total + change * self.frames.nameless(rows, length)[:, :, None]
            elif landing.slot is not None:
                index = self.frames.store.positions[landing.slot][rows]
                total = total.index_put((torch.arange(len(rows), device=rows.device), index), change, accumulate=True)
        return total


def stream_everywhere(
    frames: Frames,
    stream: Stream,
    times: Sequence[int],
    contexts: Int[Tensor, "n column"],
    values: Mapping[int, Value],
) -> Seen:
    """A stream at every position: `[n, t, d]` at each moment at which it is read."""
    rows, store = contexts[:, 0], frames.store
    length = int(store.lengths[rows].max())
    landed = Landed(frames, stream, contexts, values)
    mlps = passed_mlps(frames.claim, frames.graph, max(times))
    heads = {attention_time(layer): (layer, found) for layer, found in passed_heads(frames.claim, max(times)).items()}
    # on a mean or zero row a passed-through component differs from the row even where nothing landed
    change: Tensor | None = None
    if frames.pseudo and (mlps or heads):
        change = torch.zeros(
            len(rows), length, frames.model.shape.d_model, dtype=frames.model.dtype, device=rows.device
        )
    pending: dict[int, list[Tensor]] = {}
    seen: dict[int, Tensor] = {}

    def of_frame(kind: Kind) -> Float[Tensor, "n t d"]:
        return store.whole(kind, rows, length)

    for time in range(-1, max(times) + 1):
        if time in times or (change is not None and (time in mlps or time in heads)):
            x = store.whole(stream_at(time), rows, length)
            x = x if change is None else x + change
            if time in times:
                seen[time] = x
            if change is not None and time in heads:
                pending.setdefault(time, []).append(_heads_change(frames, stream, heads[time], rows, x))
            if change is not None and time in mlps:
                pending.setdefault(mlp_time(mlps[time]), []).append(
                    _mlp_change_everywhere(frames, stream, mlps[time], rows, x)
                )
        written = [landed.everywhere(time, length, False), *pending.pop(time, ())]
        new = [more for more in written if more is not None]
        if new and attending(time) is not None and frames.graph.shape.post_norms:
            # the norm is of all that heads write together
            new = [frames.entering(time, torch.stack(new).sum(0), of_frame)]
        for more in new:
            change = more if change is None else change + more
        if time < max(times):
            change = frames.normed(time, change, of_frame)
        late = landed.everywhere(time, length, True)
        if late is not None:
            change = late if change is None else change + late
    return seen


def _mlp_change_everywhere(
    frames: Frames, stream: Stream, layer: int, rows: Int[Tensor, " n"], x: Float[Tensor, "n t d"]
) -> Float[Tensor, "n t d"]:
    length, mlp = x.shape[1], Component.for_mlp(layer)
    free = frames.free(mlp, stream, rows, length)
    read = stream_at(frames.graph.read(mlp))
    x = frames.mixing(layer, rows, x, lambda: frames.store.whole(read, rows, length), free)
    new = mlp_writes(frames.model.blocks[layer], x) - frames.store.whole(("mlp_out", layer), rows, length)
    return new * free[:, :, None]


def _heads_change(
    frames: Frames, stream: Stream, passed: tuple[int, list[int]], rows: Int[Tensor, " n"], x: Float[Tensor, "n t d"]
) -> Float[Tensor, "n t d"]:
    layer, heads = passed
    block, where = frames.model.blocks[layer], positions_of(x)
    q, k, v = (read_heads(block, channel, x, heads, where) for channel in CHANNELS)
    z = mixed(block.attn, q, k, v, where, frames.store.lengths[rows], heads)
    change = z - frames.store.whole(("z", layer), rows, x.shape[1], heads)
    free = [frames.free(Component.for_head(layer, head), stream, rows, x.shape[1]) for head in heads]
    return write(block.attn, change * torch.stack(free, dim=2)[..., None], heads)
