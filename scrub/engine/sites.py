"""The values of a site: its components computed from what their channels see, with real norms and softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from attrs import frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.table import attention_time, before_angles, stream_at
from scrub.engine.cache import Store
from scrub.engine.contexts import Contexts
from scrub.engine.frames import Frames, Seen, Value
from scrub.engine.needs import Kind
from scrub.engine.plan import Input, Landing, Leaf, SiteShape
from scrub.model.block import (
    as_read,
    held_by,
    mixed,
    mlp_normed,
    mlp_writes,
    positions_of,
    read_before,
    read_heads,
    read_held,
)
from scrub.model.codes import known_mlp
from scrub.model.layers import angled, some_neurons
from scrub.model.upload import some


def leaf_value(store: Store, leaf: Leaf, rows: Int[Tensor, " n"], length: int) -> Value:
    """What the components of a leaf write on rows of at most some length, `[n, slot, width]` each."""
    if leaf.slots == (ALL,):
        return [store.whole(c.array, rows, length, c.taken).flatten(2) for c in leaf.components]
    if all(c.taken is None for c in leaf.components):
        kinds = [c.array for c in leaf.components]
        found = zip(*(store.at_each(kinds, slot, rows) for slot in leaf.slots), strict=True)
    else:
        found = ([store.at(c.array, slot, rows, c.taken) for slot in leaf.slots] for c in leaf.components)
    return [torch.stack(list(slots), dim=1).flatten(2) for slots in found]


@frozen(eq=False)
class SiteCall:
    """A shape with some of its contexts, and what its streams showed: `seen[stream]` and the numbers to take."""

    frames: Frames
    shape: SiteShape
    contexts: Contexts
    seen: Mapping[int, Seen]

    def value(self) -> Value:
        """Every component's value, `[n, slot, width]`; the answer's is the final stream."""
        found: dict[Component, Tensor] = {}
        for group in _groups(self.shape):
            first = group[0]
            if first.traits.attends:
                found.update(self._attending(group))
            elif first.traits.scalar:
                found.update(self._neurons(group))
            else:
                found[first] = self._channel(first) if first.traits.is_channel else self._single(first)
        return [found[component] for component in self.shape.components]

    def _attending(self, group: tuple[Component, ...]) -> dict[Component, Float[Tensor, "n slot width"]]:
        """Heads, or a layer's attention, whole or as parts; each host is computed once."""
        hosts = tuple(dict.fromkeys(component.host for component in group))
        z, found = self._attention(group[0], hosts), dict[Component, Tensor]()
        for component in group:
            at = hosts.index(component.host)
            own = some(z, [at], 2) if component.traits.by_unit else z
            if component.is_part:
                coded = self.frames.codes.of(component)
                written = own if component.traits.by_unit else self.frames.to_stream(component.host, own.flatten(2))
                found[component] = coded.of_host(written)
            else:
                found[component] = own.flatten(2)
        return found

    def _neurons(self, group: tuple[Component, ...]) -> dict[Component, Float[Tensor, "n slot 1"]]:
        """Neurons of one MLP: their own columns alone."""
        first = group[0]
        i, time = self._input(first, "input"), self.frames.graph.read(first)
        block = self.frames.model.blocks[first.layer or 0]
        m, units = known_mlp(block, first), [component.unit or 0 for component in group]
        found: list[Tensor] = []
        for slot in self.shape.slots:
            x = self._stream(i, slot, time)
            if x is None and self.frames.pseudo:
                x = self._unseen(i, stream_at(time), slot)
            if x is None:
                found.append(torch.cat([self._unseen(i, c.array, slot) for c in group], -1))
            else:
                found.append(some_neurons(m, mlp_normed(block, x), units))
        values = found[0] if self.shape.slots == (ALL,) else torch.stack(found, dim=1)
        return {component: some(values, [i], -1) for i, component in enumerate(group)}

    def _channel(self, component: Component) -> Float[Tensor, "n slot k"]:
        """A query, key or value of a head, before rotary angles, or a part of it."""
        i, time = self._input(component, "input"), self.frames.graph.read(component)
        block, coded = self.frames.model.blocks[component.layer or 0], self.frames.codes.of(component)
        held = held_by(block.attn, component.kind, [component.unit or 0])
        found: list[Tensor] = []
        for slot in self.shape.slots:
            x = self._stream(i, slot, time)
            if x is None:
                found.append(self._unseen(i, component.array, slot))
            else:
                x = x if slot == ALL else x[:, None]
                made = coded.of_host(read_before(block, component.kind, x, held)[:, :, 0])
                found.append(made if slot == ALL else made[:, 0])
        return found[0] if self.shape.slots == (ALL,) else torch.stack(found, dim=1)

    def _input(self, component: Component, channel: str) -> Input:
        return next(i for i in self.shape.inputs if i.channel == channel and component in i.components)

    def _rows(self, i: Input) -> Int[Tensor, " n"]:
        return self.contexts.there[:, i.rest]

    def _length(self, i: Input) -> int:
        """Over how many positions its rows lie."""
        return self.frames.longest(self.contexts.host[:, i.rest])

    def _seen(self, i: Input, stream: int, time: int) -> Float[Tensor, "n *pos d"]:
        """What a stream shows at a moment, for each of the contexts."""
        rests = self.contexts.host.shape[1] - len(self.shape.views)
        number = self.contexts.there[:, rests + self.shape.views.index((stream, i.rest, i.channel))]
        return self.seen[stream][time].index_select(0, number)

    def _stream(self, i: Input, slot: Slot, time: int) -> Float[Tensor, "n *pos d"] | None:
        """What an input sees at a slot, None where nothing can land there."""
        for at, stream in i.streams:
            if at == slot:
                return self._seen(i, stream, time)
            if at is None:
                x = self._seen(i, stream, time)
                return x if slot == ALL else x[torch.arange(len(x), device=x.device), self._position(i, slot)]
        return None

    def _position(self, i: Input, slot: Slot) -> Int[Tensor, " n"]:
        return self.frames.store.positions[slot][self._rows(i)]

    def _single(self, component: Component) -> Float[Tensor, "n slot d"]:
        """An MLP, a residual stream or the answer: one channel, read at the component's own position."""
        i, time = self._input(component, "input"), self.frames.graph.read(component)
        found: list[Tensor] = []
        for slot in self.shape.slots:
            x = self._stream(i, slot, time)
            is_mlp = component.traits.local
            # On a mean row the mean of what an MLP wrote is not what it makes of the mean stream: it is computed on
            # that.
            if x is None and is_mlp and self.frames.pseudo:
                x = self._unseen(i, stream_at(time), slot)
            if x is None:
                found.append(self._unseen(i, self._array(component, time), slot))
                continue
            coded = self.frames.codes.of(component) if component.is_part else None
            if is_mlp and not (coded and coded.of_input):
                layer, own = component.layer or 0, partial(self._unseen, i, stream_at(time), slot)
                x = self.frames.mixing(layer, self._rows(i), x, own)
                x = mlp_writes(self.frames.model.blocks[layer], x)
            found.append(coded.of_host(x) if coded else x)
        return found[0] if self.shape.slots == (ALL,) else torch.stack(found, dim=1)

    def _array(self, component: Component, time: int) -> Kind:
        """The array that holds a component on its frame: of a stream, the answer's too, that which it reads."""
        return stream_at(time) if component.traits.is_stream and not component.is_part else component.array

    def _unseen(self, i: Input, kind: tuple[str, int], slot: Slot, heads: Sequence[int] | None = None) -> Tensor:
        """What an input reads of its frame where nothing lands."""
        store, rows = self.frames.read_by(i), self._rows(i)
        if slot == ALL:
            return store.whole(kind, rows, self._length(i), heads)
        return store.at(kind, slot, rows, heads)

    def _attention(self, first: Component, hosts: tuple[Component, ...]) -> Float[Tensor, "n slot h e"]:
        """The z of heads of one layer that share the inputs of the first of the site."""
        layer, model = first.layer or 0, self.frames.model
        attn = model.blocks[layer].attn
        heads = [head for host in hosts for head in host.heads(model.shape)]
        q, where = self._queries(self._input(first, "q"), layer, heads)
        k, v = (as_read(attn, c, heads, partial(self._keys, self._input(first, c), layer)) for c in ("k", "v"))
        q = self._put_queries(self._input(first, "q"), layer, heads, q, where)
        k, v = (self._put_keys(self._input(first, c), layer, heads, x) for c, x in (("k", k), ("v", v)))
        # Keys and values may lie in frames of other rows, cut to other lengths.
        length = min(k.shape[1], v.shape[1])
        lengths = self.frames.store.lengths[self._rows(self._input(first, "k"))]
        return mixed(attn, q, k[:, :length], v[:, :length], where, lengths, heads)

    def _queries(
        self, i: Input, layer: int, heads: list[int]
    ) -> tuple[Float[Tensor, "n slot h e"], Int[Tensor, "n slot"]]:
        model, rows = self.frames.model, self._rows(i)
        block = model.blocks[layer]
        found: list[Tensor] = []
        places: list[Tensor] = []
        for slot in self.shape.slots:
            x = self._stream(i, slot, attention_time(layer))
            if slot == ALL:
                where = torch.arange(self._length(i), device=rows.device).expand(len(rows), -1)
            else:
                where = self._position(i, slot)[:, None]
            if x is None:
                q = self._unseen(i, ("q", layer), slot, heads)
                q = q if slot == ALL else q[:, None]
            else:
                x = x if slot == ALL else x[:, None]
                q = read_heads(block, "q", x, heads, where)
            found.append(q)
            places.append(where)
        return torch.cat(found, dim=1), torch.cat(places, dim=1)

    def _keys(self, i: Input, layer: int, held: list[int], before: bool = False) -> Float[Tensor, "n t g e"]:
        """Keys or values at every position: the frame's, with the slots at which something landed put in.

        They have their rotary angles, or come `before` these.
        """
        model, rows = self.frames.model, self._rows(i)
        block, length = model.blocks[layer], self._length(i)
        for at, stream in i.streams:
            if at is None:
                x = self._seen(i, stream, attention_time(layer))[:, :length]
                return (
                    read_before(block, i.channel, x, held)
                    if before
                    else read_held(block, i.channel, x, held, positions_of(x))
                )
        kind = before_angles(i.channel) if before else i.channel
        found = self.frames.read_by(i).whole((kind, layer), rows, length, held)  # a copy, to be written to
        if not i.streams:
            return found
        everyone = torch.arange(len(rows), device=rows.device)
        for at, stream in i.streams:
            assert at is not None
            where = self._position(i, at)
            x = self._seen(i, stream, attention_time(layer))[:, None]
            made = (
                read_before(block, i.channel, x, held)
                if before
                else read_held(block, i.channel, x, held, where[:, None])
            )
            found[everyone, where] = made[:, 0]
        return found

    def _put_queries(self, i: Input, layer: int, heads: list[int], q: Tensor, where: Tensor) -> Tensor:
        """Queries `[n slot h e]` with parts of them put in; the rest is what their head makes of what it reads."""
        block = self.frames.model.blocks[layer]
        for head, puts in _by_head(i, layer, heads).items():
            before = self._queries_before(i, layer, head)
            for landing, step in puts:
                there = torch.stack([self._meets(i, landing, slot) for slot in self.shape.slots], dim=1)
                there = there if landing.slot != ALL else there.expand(before.shape[:2])
                before = self._with(landing, self._seen(i, step, attention_time(layer)), before, there)
            q = q.clone()
            q[:, :, heads.index(head)] = angled(block.attn, "q", before[:, :, None], where)[:, :, 0]
        return q

    def _meets(self, i: Input, landing: Landing, slot: Slot) -> Bool[Tensor, " n"]:
        """Where a part lands at a slot of the site."""
        if ALL in (slot, landing.slot) or landing.slot is None:
            return torch.ones(len(self.contexts), dtype=torch.bool, device=self.contexts.there.device)
        return self._position(i, landing.slot) == self._position(i, slot)

    def _queries_before(self, i: Input, layer: int, head: int) -> Float[Tensor, "n slot e"]:
        block, found = self.frames.model.blocks[layer], list[Tensor]()
        for slot in self.shape.slots:
            x = self._stream(i, slot, attention_time(layer))
            if x is None:
                made = self._unseen(i, (before_angles("q"), layer), slot, [head])
                made = made if slot == ALL else made[:, None]
            else:
                made = read_before(block, "q", x if slot == ALL else x[:, None], [head])
            found.append(made[:, :, 0])
        return torch.cat(found, dim=1)

    def _put_keys(self, i: Input, layer: int, heads: list[int], x: Tensor) -> Tensor:
        """Keys or values `[n t h e]` of each query head with parts of them put in."""
        block = self.frames.model.blocks[layer]
        for head, puts in _by_head(i, layer, heads).items():
            before = self._keys(i, layer, held_by(block.attn, i.channel, [head]), before=True)[:, :, 0]
            for landing, step in puts:
                there = torch.ones(before.shape[:2], dtype=torch.bool, device=x.device)
                if landing.slot is not None and landing.slot != ALL:
                    there = torch.arange(before.shape[1], device=x.device) == self._position(i, landing.slot)[:, None]
                before = self._with(landing, self._seen(i, step, attention_time(layer)), before, there)
            x = x.clone()
            made = angled(block.attn, i.channel, before[:, :, None], positions_of(before))
            x[:, :, heads.index(head)] = made[:, : x.shape[1], 0]
        return x

    def _with(self, landing: Landing, new: Tensor, before: Float[Tensor, "n pos e"], there: Tensor) -> Tensor:
        code = self.frames.codes.of(landing.component).code
        new = new[:, : before.shape[1]] if landing.slot == ALL else new[:, None]
        return before + code.write(new - code.encode(before)) * there[..., None]


def _by_head(i: Input, layer: int, heads: list[int]) -> dict[int, list[tuple[Landing, int]]]:
    """The parts of a channel that some heads of a layer take, by head."""
    found: dict[int, list[tuple[Landing, int]]] = {}
    for landing, step in i.puts:
        if landing.component.layer == layer and (head := landing.component.unit or 0) in heads:
            found.setdefault(head, []).append((landing, step))
    return found


def _groups(shape: SiteShape) -> list[tuple[Component, ...]]:
    """Heads of one layer that read through the same inputs are computed together."""
    found: dict[tuple[object, ...], list[Component]] = {}
    for component in shape.components:
        inputs = tuple(n for n, i in enumerate(shape.inputs) if component in i.components)
        host = component.host
        alone = None if host.traits.is_head and not component.traits.is_channel else host
        alone = component if not host.traits.attends and not component.traits.scalar else alone
        alone = component if component.traits.is_channel else alone
        found.setdefault((component.layer, inputs, component.traits.scalar, alone), []).append(component)
    return [tuple(group) for group in found.values()]
