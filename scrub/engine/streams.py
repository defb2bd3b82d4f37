"""What channels of a transformer see: the frame's stream plus the change that landed values make.

`x = resid[r] + D`, where D sums (new - old) of what landed, and of every passed-through component that sees a
change. MLPs stay at their position, so a stream lives at one slot; passed-through heads need every position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from attrs import evolve, frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.table import CHANNELS, attention_time, mlp_time, stream_at
from scrub.engine.contexts import Contexts
from scrub.engine.frames import Arrivals, AtSlot, Everywhere, Frames, Seen, Value, held_alone, total
from scrub.engine.idle import Idle
from scrub.engine.landed_hosts import Change
from scrub.engine.needs import parts_held, passed_heads, passed_mlps
from scrub.engine.plan import Landing, Stream
from scrub.model.block import (
    held_by,
    mixed,
    positions_of,
    read_before,
    read_heads,
)
from scrub.model.layers import angled, write
from scrub.model.upload import uploaded

Place = tuple[Tensor, Tensor | None]  # a change in a stream, and where (1) it is one; None for all of it


def put_values(put: Landing, contexts: Contexts, values: Mapping[int, Value]) -> Tensor:
    """The values of a part of a channel, `[n, k]`, at `all` `[n, t, k]`: what its head puts into the channel."""
    new = values[put.source][put.index].index_select(0, contexts.there[:, 1])
    return new if put.slot == ALL else new[:, put.column]


def streams_at_slots(frames: Frames, streams: Sequence[SlotStream]) -> list[Seen]:
    """Streams at one slot each, run side by side so that each layer's MLP is called once for all of them."""
    for time in range(-1, max(stream.last for stream in streams) + 1):
        live = [stream for stream in streams if stream.advance(time)]
        layer = frames.mlp_at(time)
        asking = [stream for stream in live if layer is not None and stream.asks(layer)]
        if asking and layer is not None:
            inputs = [stream.mlp_input(layer, time) for stream in asking]
            outputs = frames.mlp_made(layer, torch.cat(inputs)).split([len(x) for x in inputs])
            for stream, x, output in zip(asking, inputs, outputs, strict=True):
                stream.mlp_output(layer, x, output)
        for stream in live:
            stream.write(time)
    return [stream.seen for stream in streams]


class SlotStream:
    """One stream at a slot on its way through the layers: `[n, d]` at each moment at which it is read.

    Contexts stand in the order of the last moment at which they are read (`until`); those that nobody reads any
    more are dropped from the end. MLPs are computed only where something changed: no change stays no change. That is
    known from the contexts (`idle`): a device is asked for no number.
    """

    def __init__(self, landed: Landed, times: Sequence[int], until: Int[np.ndarray, " n"], idle: Idle) -> None:
        assert landed.stream.slot is not None
        self.landed, self.frames, self.slot = landed, landed.frames, landed.stream.slot
        self.times, self.contexts, self.until = times, landed.contexts, until
        self.last, self.shortest = int(until[0]), int(until[-1])
        self.landing = {self.frames.graph.written(landing.component) for landing in landed.stream.landings}
        self.change: Tensor | None = None
        self.pending: dict[int, Tensor] = {}
        self.seen: dict[int, Tensor] = {}
        self.idle, self.changed = idle, np.zeros(len(until), dtype=bool)  # contexts in which something did
        self.moved: Tensor | None = None  # numbers of the contexts that the MLP is asked about, None for all

    def advance(self, time: int) -> bool:
        """Drop contexts that are not read any more and show the stream to its readers; False at its end."""
        if time > self.last:
            return False
        if time > self.shortest:
            live = int((self.until >= time).sum())
            self.contexts, self.changed = self.contexts.part(slice(live)), self.changed[:live]
            self.change = None if self.change is None else self.change[:live]
        # Before anything of this moment is written: a component never reads what it writes itself.
        if time in self.times:
            x = self.frames.store.at(stream_at(time), self.slot, self.contexts.rows)
            self.seen[time] = x if self.change is None else x + self.change
        return True

    def asks(self, layer: int) -> bool:
        """Whether the MLP of a layer sees a change and writes before the last reader looks."""
        if self.change is None or mlp_time(layer) >= self.last:
            return False
        held = self.frames.held_rows(Component.for_mlp(layer), self.slot, self.landed.stream)
        moved = self.changed if held is None else self.changed & ~held[self.contexts.host[:, 0]]
        self.moved = None if moved.all() else uploaded([np.flatnonzero(moved)], self.frames.model.device)[0]
        return bool(moved.any())

    def mlp_input(self, layer: int, time: int) -> Float[Tensor, "moved d"]:
        """What the MLP that reads at a moment sees, in the contexts in which it sees a change."""
        assert self.change is not None
        rows = self._asked(self.contexts.rows)
        x = self.frames.store.at(stream_at(time), self.slot, rows)
        return self.frames.mixing(layer, rows, x + self._asked(self.change), lambda: x)

    def mlp_output(self, layer: int, x: Float[Tensor, "moved d"], output: Float[Tensor, "moved d"]) -> None:
        """How much the MLP writes more than on the frame; nothing where a site of the claim holds it."""
        assert self.change is not None
        at = AtSlot(self.frames, self.landed.stream, self.slot, self._asked(self.contexts.rows))
        more = self.frames.neurons_free(layer, output - at.frame(self.frames.mlp_array(layer)), x, at)
        if self.moved is not None:
            more = torch.zeros_like(self.change).index_copy(0, self.moved, more)
        self.pending[mlp_time(layer)] = more

    def _asked(self, x: Tensor) -> Tensor:
        return x if self.moved is None else x.index_select(0, self.moved)

    def write(self, time: int) -> None:
        """Add what is written at a moment: landed values, and MLPs that saw a change."""
        passed = self.pending.pop(time)[: len(self.contexts)] if time in self.pending else None
        landed = late = Arrivals()
        if time in self.landing:
            live = evolve(self.landed, contexts=self.contexts)
            landed, late = (live.at_slot(time, self.slot, streams) for streams in (False, True))
            self.changed = self.changed | live.changed(time, self.slot, self.idle)
        at = AtSlot(self.frames, self.landed.stream, self.slot, self.contexts.rows)
        self.change = total(self.change, self.frames.entering(time, landed, passed, at))
        if time < self.last:
            self.change = self.frames.normed(time, self.change, at)
        self.change = total(self.change, late.outside)


@frozen(eq=False)
class Landed:
    """The changes that landed values make, by the moment at which they are written."""

    frames: Frames
    stream: Stream
    contexts: Contexts
    values: Mapping[int, Value]

    def changed(self, time: int, slot: Slot, idle: Idle) -> Bool[np.ndarray, " n"]:
        """The contexts in which a value that is written at a moment may change something at a slot."""
        host, found = self.contexts.host, np.zeros(len(self.contexts), dtype=bool)
        written = self.frames.graph.written
        alike = {(x.source, x.slot): x for x in self.stream.landings if written(x.component) == time}
        for landing in alike.values():  # of one site at one slot: what it is of does not matter
            there = ~idle.lands(self.stream, landing, host)
            if landing.slot is not None and landing.slot != slot:
                data = self.frames.claim.data
                there &= (data.locate(landing.slot) == data.locate(slot))[host[:, 0]]
            found |= there
        return found

    def changes(self, time: int, streams: bool, length: int | None = None) -> list[Change]:
        """Each landing written at a moment with its (new - old) in the stream: of whole `streams`, or of others."""
        found = list[Change]()
        for group in self.stream.together:
            component = group[0].component
            if self.frames.graph.written(component) == time and component.traits.is_stream == streams:
                found.append(
                    (group[0], self.frames.to_stream_of([x.component for x in group], self._more_of(group, length)))
                )
        return self.frames.landing(self.contexts.rows, self.stream.slot, found)

    def _more_of(self, group: Sequence[Landing], length: int | None) -> Float[Tensor, "n *pos width"]:
        """What values that land in one are more than on the frame, side by side; of one site read at once."""
        first = group[0]
        one_site = {(x.source, x.column) for x in group} == {(first.source, first.column)}
        if len(group) == 1 or not one_site or first.slot is None or first.slot in (ALL, OTHER):
            return torch.cat([self._more(landing, length) for landing in group], -1)
        number = self.contexts.there[:, 1 + self.stream.sources.index(first.source)]
        values = self.values[first.source]
        new = torch.cat([values[x.index][:, x.column] for x in group], -1).index_select(0, number)
        kinds = [x.component.array for x in group]
        return new - torch.cat(self.frames.store.at_each(kinds, first.slot, self.contexts.rows), -1)

    def _more(self, landing: Landing, length: int | None) -> Float[Tensor, "n *pos width"]:
        """What a value is more than on the frame."""
        assert landing.slot is not None
        number = self.contexts.there[:, 1 + self.stream.sources.index(landing.source)]
        new = self.values[landing.source][landing.index].index_select(0, number)
        new = new[:, :length] if landing.slot in (ALL, OTHER) else new[:, landing.column]
        return new - self.frames.written(landing.component, landing.slot, self.contexts.rows, length)

    def at_slot(self, time: int, slot: Slot, streams: bool) -> Arrivals:
        """The change at one slot; landings at other slots count in the rows where the positions coincide."""
        positions, rows = self.frames.store.positions, self.contexts.rows

        def there(landing: Landing, change: Tensor) -> Place:
            if landing.slot == slot or landing.slot is None:
                return change, None
            # Two names may stand for one position, in some rows and not in others.
            same = (positions[landing.slot] == positions[slot])[rows].to(change.dtype)
            return change * same[:, None], same

        return self._arrived((landing, there(landing, x)) for landing, x in self.changes(time, streams))

    def everywhere(self, time: int, length: int, streams: bool) -> Arrivals:
        """The change at every position."""
        rows = self.contexts.rows

        def there(landing: Landing, change: Tensor) -> Place:
            if landing.slot == ALL or landing.slot is None:
                return change, None
            if landing.slot == OTHER:
                free = self.frames.nameless(rows, length).to(change.dtype)
                return change * free[:, :, None], free
            index = torch.arange(len(rows), device=rows.device), self.frames.store.positions[landing.slot][rows]
            spread = change.new_zeros(len(rows), length, change.shape[-1]).index_put(index, change)
            return spread, change.new_zeros(len(rows), length).index_put(index, change.new_ones(len(rows)))

        return self._arrived((landing, there(landing, x)) for landing, x in self.changes(time, streams, length))

    def _arrived(self, placed: Iterable[tuple[Landing, Place]]) -> Arrivals:
        found: dict[bool, Tensor | None] = {True: None, False: None}
        touched: Tensor | None = None
        for landing, (change, there) in placed:
            if landing.component.traits.scalar:  # of no others is it asked where they landed
                there = change.new_ones(change.shape[:-1]) if there is None else there
                touched = there if touched is None else torch.maximum(touched, there)
            inside = self.frames.lands_inside(landing.component)
            found[inside] = total(found[inside], change)
        return Arrivals(found[True], found[False], touched)


def stream_everywhere(
    frames: Frames,
    stream: Stream,
    times: Sequence[int],
    contexts: Contexts,
    values: Mapping[int, Value],
) -> Seen:
    """A stream at every position: `[n, t, d]` at each moment at which it is read."""
    rows, store = contexts.rows, frames.store
    length = frames.longest(contexts.host[:, 0])
    landed = Landed(frames, stream, contexts, values)
    mlps = passed_mlps(frames.claim, frames.graph, max(times))
    heads = {attention_time(layer): (layer, found) for layer, found in passed_heads(frames.claim, max(times)).items()}
    # on a mean or zero row a passed-through component differs from the row even where nothing landed
    change: Tensor | None = None
    if frames.pseudo and (mlps or heads):
        change = torch.zeros(
            len(rows), length, frames.model.shape.d_model, dtype=frames.model.dtype, device=rows.device
        )
    pending: dict[int, Tensor] = {}
    seen: dict[int, Tensor] = {}
    at = Everywhere(frames, stream, length, rows)
    for time in range(-1, max(times) + 1):
        if time in times or (change is not None and (time in mlps or time in heads)):
            x = store.whole(stream_at(time), rows, length)
            x = x if change is None else x + change
            if time in times:
                seen[time] = x
            if change is not None and time in heads:
                pending[time] = _heads_change(frames, *heads[time], x, at)
            if change is not None and time in mlps:
                pending[mlp_time(mlps[time])] = _mlp_change_everywhere(frames, mlps[time], x, at)
        early, late = (landed.everywhere(time, length, streams) for streams in (False, True))
        change = total(change, frames.entering(time, early, pending.pop(time, None), at))
        if time < max(times):
            change = frames.normed(time, change, at)
        change = total(change, late.outside)
    return seen


def _mlp_change_everywhere(
    frames: Frames, layer: int, x: Float[Tensor, "n t d"], at: Everywhere
) -> Float[Tensor, "n t d"]:
    mlp = Component.for_mlp(layer)
    held, read = at.held(mlp), stream_at(frames.graph.read(mlp))
    x = frames.mixing(layer, at.rows, x, lambda: at.frame((read[0], read[1])), None if held is None else ~held)
    new = frames.mlp_made(layer, x) - at.frame(frames.mlp_array(layer))
    return _unless_held(mlp, frames.neurons_free(layer, new, x, at), at)


def _heads_change(
    frames: Frames, layer: int, heads: list[int], x: Float[Tensor, "n t d"], at: Everywhere
) -> Float[Tensor, "n t d"]:
    """What passed-through heads write more together; of a head of which a part is claimed, that part stays on r."""
    block, where = frames.model.blocks[layer], positions_of(x)
    q, k, v = (_read_free(layer, channel, x, heads, at) for channel in CHANNELS)
    z = mixed(block.attn, q, k, v, where, frames.store.lengths[at.rows], heads)
    change = z - frames.store.whole(("z", layer), at.rows, x.shape[1], heads)
    hosts = [Component.for_head(layer, head) for head in heads]
    kept = [_unless_held(host, change[:, :, i], at) for i, host in enumerate(hosts)]
    found = write(block.attn, torch.stack(kept, dim=2), heads)
    for i, host in enumerate(hosts):
        found = _head_free(frames, host, z[:, :, i], found, at)
    return found


def _head_free(
    frames: Frames, host: Component, z: Float[Tensor, "n t e"], change: Float[Tensor, "n t d"], at: Everywhere
) -> Float[Tensor, "n t d"]:
    """The change that a passed-through head makes, less what claimed parts of it take."""
    full = frames.to_stream(host, z)
    for part in (c for c in parts_held(frames.claim, host) if not c.traits.is_channel):
        if (mask := held_alone(at, part)) is not None:
            code = frames.codes.of(part).code
            took = code.write(code.encode(full) - at.frame(part.array)) * mask[..., None]
            full, change = full - took, change - took
    return change


def _read_free(
    layer: int, channel: str, x: Float[Tensor, "n t d"], heads: list[int], at: Everywhere
) -> Float[Tensor, "n t heads e"]:
    """What passed-through heads read through a channel; what is claimed of it stays on r."""
    frames = at.frames
    block, where = frames.model.blocks[layer], positions_of(x)
    found = read_heads(block, channel, x, heads, where)
    for i, head in enumerate(heads):
        parts = [c for c in parts_held(frames.claim, Component.for_head(layer, head)) if c.kind == channel]
        if parts:
            (held,) = held_by(block.attn, channel, [head])
            before = read_before(block, channel, x, [held])
            for part in parts:
                if (mask := at.held(part)) is not None:
                    code = frames.codes.of(part).code
                    back = code.write(at.frame(part.array) - code.encode(before[:, :, 0]))
                    before = before + (back * mask[..., None])[:, :, None]
            found = found.clone()
            found[:, :, i] = angled(block.attn, channel, before, where)[:, :, 0]
    return found


def _unless_held(
    component: Component, change: Float[Tensor, "n t width"], at: Everywhere
) -> Float[Tensor, "n t width"]:
    """The change, without the positions at which a site of the claim holds the component: there it stays on r."""
    held = at.held(component)
    return change if held is None else change * ~held[..., None]
