"""The values of a site: its components computed from what their channels see, with real norms and softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.table import attention_time, stream_at
from scrub.engine.cache import Store
from scrub.engine.plan import Input, Leaf, SiteShape
from scrub.engine.streams import Frames, Seen, Value
from scrub.model.block import as_read, mixed, mlp_writes, positions_of, read_heads, read_held


def leaf_value(store: Store, leaf: Leaf, rows: Int[Tensor, " n"]) -> Value:
    """What the components of a leaf write on rows, `[n, slot, width]` each."""
    length = int(store.lengths[rows].max())
    found: list[Tensor] = []
    for component in leaf.components:
        kind = component.array
        heads = [component.unit or 0] if component.traits.by_unit else None
        if leaf.slots == (ALL,):
            value = store.whole(kind, rows, length, heads)
        else:
            value = torch.stack([store.at(kind, slot, rows, heads) for slot in leaf.slots], dim=1)
        found.append(value.flatten(2))
    return found


@frozen(eq=False)
class SiteCall:
    """A shape with some of its contexts, and what its streams showed: `seen[stream]` and the numbers to take."""

    frames: Frames
    shape: SiteShape
    contexts: Int[Tensor, "n column"]
    seen: Mapping[int, Seen]

    def value(self) -> Value:
        """Every component's value, `[n, slot, width]`; the answer's is the final stream."""
        found: dict[Component, Tensor] = {}
        for group in _groups(self.shape):
            first = group[0]
            if first.traits.attends:
                z = self._attention(group)
                for i, component in enumerate(group):
                    found[component] = z[:, :, i] if component.traits.by_unit else z.flatten(2)
            else:
                found[first] = self._single(first)
        return [found[component] for component in self.shape.components]

    def _input(self, component: Component, channel: str) -> Input:
        return next(i for i in self.shape.inputs if i.channel == channel and component in i.components)

    def _rows(self, i: Input) -> Int[Tensor, " n"]:
        return self.contexts[:, i.rest]

    def _seen(self, i: Input, stream: int, time: int) -> Float[Tensor, "n *pos d"]:
        """What a stream shows at a moment, for each of the contexts."""
        rests = self.contexts.shape[1] - len(self.shape.views)
        number = self.contexts[:, rests + self.shape.views.index((stream, i.rest, i.channel))]
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
            if x is None and (component.traits.is_stream or (is_mlp and self.frames.pseudo)):
                x = self._unseen(stream_at(time), slot, self._rows(i))
            if x is None:
                x = self._unseen(component.array, slot, self._rows(i))
            elif is_mlp:
                layer, rows = component.layer or 0, self._rows(i)
                x = self.frames.mixing(layer, rows, x, partial(self._unseen, stream_at(time), slot, rows))
                x = mlp_writes(self.frames.model.blocks[layer], x)
            found.append(x)
        return found[0] if self.shape.slots == (ALL,) else torch.stack(found, dim=1)

    def _unseen(
        self, kind: tuple[str, int], slot: Slot, rows: Int[Tensor, " n"], heads: Sequence[int] | None = None
    ) -> Tensor:
        store = self.frames.store
        if slot == ALL:
            return store.whole(kind, rows, int(store.lengths[rows].max()), heads)
        return store.at(kind, slot, rows, heads)

    def _attention(self, group: tuple[Component, ...]) -> Float[Tensor, "n slot h e"]:
        """The z of heads of one layer that share their inputs."""
        first = group[0]
        layer, model = first.layer or 0, self.frames.model
        attn = model.blocks[layer].attn
        heads = [head for component in group for head in component.heads(model.shape)]
        q, where = self._queries(self._input(first, "q"), layer, heads)
        k, v = (as_read(attn, c, heads, partial(self._keys, self._input(first, c), layer)) for c in ("k", "v"))
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
                length = int(self.frames.store.lengths[rows].max())
                where = torch.arange(length, device=rows.device).expand(len(rows), -1)
            else:
                where = self._position(i, slot)[:, None]
            if x is None:
                q = self._unseen(("q", layer), slot, rows, heads)
                q = q if slot == ALL else q[:, None]
            else:
                x = x if slot == ALL else x[:, None]
                q = read_heads(block, "q", x, heads, where)
            found.append(q)
            places.append(where)
        return torch.cat(found, dim=1), torch.cat(places, dim=1)

    def _keys(self, i: Input, layer: int, held: list[int]) -> Float[Tensor, "n t g e"]:
        """Keys or values at every position: the frame's, with the slots at which something landed put in."""
        model, rows = self.frames.model, self._rows(i)
        block, length = model.blocks[layer], int(self.frames.store.lengths[rows].max())
        for at, stream in i.streams:
            if at is None:
                x = self._seen(i, stream, attention_time(layer))[:, :length]
                return read_held(block, i.channel, x, held, positions_of(x))
        found = self.frames.store.whole((i.channel, layer), rows, length, held)
        if not i.streams:
            return found
        # The store's own array would be written to: it serves every later call.
        found = found.clone()
        everyone = torch.arange(len(rows), device=rows.device)
        for at, stream in i.streams:
            assert at is not None
            where = self._position(i, at)
            x = self._seen(i, stream, attention_time(layer))[:, None]
            found[everyone, where] = read_held(block, i.channel, x, held, where[:, None])[:, 0]
        return found


def _groups(shape: SiteShape) -> list[tuple[Component, ...]]:
    """Heads of one layer that read through the same inputs are computed together."""
    found: dict[tuple[object, ...], list[Component]] = {}
    for component in shape.components:
        inputs = tuple(n for n, i in enumerate(shape.inputs) if component in i.components)
        alone = None if component.traits.is_head else component
        found.setdefault((component.layer, inputs, alone), []).append(component)
    return [tuple(group) for group in found.values()]
