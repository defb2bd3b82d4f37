"""Many circuits of components on a block: what they have alike is computed once, and what none of them changes never.

All circuits start from one run, that of the circuit without parts. A circuit differs from it where its parts stand
and, from there on, where a live head looks: elsewhere, and before its first part, it is that run. The stream at a
place after a layer depends on the stream there before, on which writers of the layer are live there and, if a head
is, on the streams that it sees: circuits that agree on all of these share it. Exact, as `run_masked` is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from attrs import evolve, field, frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.circuit import Circuit
from scrub.circuit.masked import Masks, run_masked
from scrub.circuit.values import Values
from scrub.model.block import after_attention, after_mlp, mixed, mlp_reads, mlp_writes, positions_of, read_heads
from scrub.model.layers import write
from scrub.model.weights import Block, Transformer

Ids = Int[np.ndarray, " _"]  # of circuits, or of streams at a place


@frozen(eq=False)
class Streams:
    """The stream of one run before each layer, and the last; a run tells it of these as it goes."""

    kept: list[Tensor] = field(factory=list[Tensor], init=False)

    def first(self, otherwise: int) -> int:
        return 0

    def heard(self, kind: str, layer: int, computed: Tensor) -> None:
        if kind == "resid_pre":
            self.kept.append(computed)

    def put(self, kind: str, layer: int, written: Tensor) -> Tensor:
        return written


@frozen(eq=False)
class SeenStreams:
    """What the live heads of a layer see: keys and values of the base, then those of the streams at every place.

    `ids` say, for each place, which of its streams a circuit has.
    """

    heads: list[int]
    ids: list[Ids]
    keys: list[Float[Tensor, "n row place h e"]]
    values: list[Float[Tensor, "n row place h f"]]


@frozen(eq=False)
class AlikeRun:
    """Circuits (`masks`) on one block. `base` is the stream of the circuit without parts before each layer.

    `places` are the positions that may differ from it, in groups that are computed together: `[row, place]` each, the
    last with the answer. The last entry of ids is the circuit without parts.
    """

    model: Transformer
    masks: Masks
    frozen: Values
    base: Sequence[Float[Tensor, "row t d"]]
    lengths: Int[Tensor, " row"]
    places: tuple[Int[Tensor, "row place"], ...]

    @property
    def rows(self) -> Int[Tensor, "row 1"]:
        return torch.arange(len(self.lengths), device=self.lengths.device)[:, None]

    def final(self) -> Float[Tensor, "circuit row place d"]:
        """The final stream at the last places, of each circuit."""
        ids = [np.zeros(self.masks.circuits + 1, dtype=np.int64) for _ in self.places]
        streams = [self.base[0][self.rows, at][None] for at in self.places]
        for layer, block in enumerate(self.model.blocks):
            ids, streams = self._layer(layer, block, ids, streams)
        return streams[-1][torch.from_numpy(ids[-1][:-1]).to(self.lengths.device)]

    def _layer(
        self, layer: int, block: Block, ids: list[Ids], streams: list[Tensor]
    ) -> tuple[list[Ids], list[Tensor]]:
        heads = self._live_heads(layer, self.model.shape.n_heads)
        seen = SeenStreams(heads, ids, *(self._seen(channel, block, heads, layer, streams) for channel in "kv"))
        after, made = list[Ids](), list[Tensor]()
        for place in range(len(self.places)):
            key = self._key(layer, place, heads, ids)
            _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
            inverse = inverse.reshape(-1)
            known = inverse[-1]  # the circuit without parts: its stream is the base
            new = np.delete(first, known)
            number = np.where(np.arange(len(first)) > known, np.arange(len(first)), np.arange(len(first)) + 1)
            number[known] = 0
            after.append(number[inverse])
            found = [self.base[layer + 1][self.rows, self.places[place]][None]]
            if len(new):
                x = streams[place][self._index(ids[place][new])]
                found.append(self._computed(layer, place, x, new, seen))
            made.append(torch.cat(found))
        return after, made

    def _index(self, ids: Ids) -> Int[Tensor, " n"]:
        return torch.from_numpy(ids).to(self.lengths.device)

    def _live_heads(self, layer: int, count: int) -> list[int]:
        """The heads of a layer that are live somewhere in some circuit."""
        listed = [Component.for_head(layer, head) for head in range(count)]
        live = self.masks.passed if not self.masks.inverted else set(listed)
        return [head for head, c in enumerate(listed) if c in live or c in self.masks.kept]

    def _key(self, layer: int, place: int, heads: list[int], ids: list[Ids]) -> Int[np.ndarray, "circuit k"]:
        """What the stream at a place after a layer depends on: equal rows have equal streams."""
        listed = [Component.for_head(layer, head) for head in heads]
        of_heads = [column for c in listed for column in self._named(c, place)]
        columns = [ids[place], *of_heads, *self._named(Component.for_mlp(layer), place)]
        always = any(c in self.masks.passed for c in listed) or (self.masks.inverted and listed)
        looks = np.ones(len(ids[place]), dtype=bool) if always else np.any([ids[place] < 0, *of_heads], axis=0)
        columns += [np.where(looks, ids[other], -1) for other in self._seen_by(place)]
        return np.stack(columns, axis=1)

    def _named(self, component: Component, place: int) -> list[Ids]:
        """Which circuits name a component at a slot that is, in some row, one of these positions."""
        found: list[Ids] = []
        for slot, has in self.masks.kept.get(component, ()):
            assert slot is not None
            if bool(self.masks.slots[slot][self.rows, self.places[place]].any()):
                found.append(np.append(has.cpu().numpy(), False).astype(np.int64))
        return found

    def _seen_by(self, place: int) -> list[int]:
        """The other groups of positions that heads see there, in some row."""
        causal, own = self.model.blocks[0].attn.causal, self.places[place].amax(1)
        others = [other for other in range(len(self.places)) if other != place]
        return [o for o in others if not causal or bool((self.places[o].amin(1) <= own).any())]

    def _seen(self, channel: str, block: Block, heads: list[int], layer: int, streams: list[Tensor]) -> list[Tensor]:
        """Keys or values of live heads: at all positions of the base, then in every stream at every place."""
        base = self.base[layer]
        wanted = [(base[None], positions_of(base)), *zip(streams, self.places, strict=True)]
        return [read_heads(block, channel, x, heads, at.expand(x.shape[:3])) for x, at in wanted] if heads else []

    def _computed(
        self, layer: int, place: int, x: Float[Tensor, "n row place d"], circuits: Ids, seen: SeenStreams
    ) -> Float[Tensor, "n row place d"]:
        """The streams of some circuits after a layer, given those before it."""
        block, at, rows = self.model.blocks[layer], self.places[place], self.rows
        old = self.frozen.z[layer][rows, at]
        out = write(block.attn, old).expand(x.shape)
        if seen.heads:
            z = self._attended(block, at, x, circuits, seen)
            live = torch.stack([self._live(Component.for_head(layer, h), circuits, at) for h in seen.heads], -1)
            out = out + write(block.attn, (z - old[..., seen.heads, :]) * live[..., None], seen.heads)
        after = after_attention(block, x, out)
        if block.mlp is None:
            return after
        live, fixed = self._live(Component.for_mlp(layer), circuits, at)[..., None], self.frozen.mlp[layer][rows, at]
        return after_mlp(block, after, torch.where(live, mlp_writes(block, mlp_reads(block, x, after)), fixed))

    def _attended(
        self, block: Block, at: Int[Tensor, "row place"], x: Float[Tensor, "n row place d"], circuits: Ids,
        seen: SeenStreams,
    ) -> Float[Tensor, "n row place h f"]:  # fmt: skip
        """The z of the layer's live heads."""
        k, v = (self._gathered(made, circuits, seen.ids).flatten(0, 1) for made in (seen.keys, seen.values))
        q = read_heads(block, "q", x, seen.heads, at.expand(x.shape[:3]))
        flat = at.repeat(len(circuits), 1), self.lengths.repeat(len(circuits))
        return mixed(block.attn, q.flatten(0, 1), k, v, *flat, seen.heads).unflatten(0, q.shape[:2])

    def _gathered(self, made: list[Tensor], circuits: Ids, ids: list[Ids]) -> Float[Tensor, "n row t h e"]:
        """Keys or values at every position of some circuits."""
        found = made[0].repeat(len(circuits), *[1] * (made[0].ndim - 1))
        for at, own, streams in zip(self.places, ids, made[1:], strict=True):
            found[:, self.rows, at] = streams[self._index(own[circuits])]
        return found

    def _live(self, component: Component, circuits: Ids, at: Int[Tensor, "row place"]) -> Bool[Tensor, "n row place"]:
        return self.masks.of(component)[self._index(circuits)][:, self.rows, at]


def places_of(masks: Masks, slots: dict[Slot, Int[Tensor, " row"]], answer: Int[Tensor, " row"], causal: bool) -> (
    tuple[Int[Tensor, "row place"], ...] | None
):  # fmt: skip
    """The positions at which circuits may differ from the one without parts; None where that is not known.

    Where heads are live at every position, these are all positions from the first part on, in groups that begin where
    parts stand; else those of parts.
    """
    named = {slot for kept in masks.kept.values() for slot, _ in kept}
    if masks.held or None in named or any(c.is_part or c.traits.given for c in masks.kept):
        return None
    listed = [slots[slot] for slot in sorted(named, key=str) if slot is not None]
    if not masks.inverted and not any(c.traits.attends for c in masks.passed):
        return (*(at[:, None] for at in listed if not torch.equal(at, answer)), answer[:, None])
    last = int(answer.min())  # the answer of every row lies in the last group
    begins = sorted({min(int(at.min()), last) for at in (*listed, answer)}) if causal else [0]
    ranges = pairwise([*begins, masks.shape[1]])
    return tuple(torch.arange(*ends, device=answer.device).expand(len(answer), -1) for ends in ranges)


def base_of(
    model: Transformer, masks: Masks, start: Values, frozen: Values, lengths: Int[Tensor, " row"]
) -> list[Float[Tensor, "row t d"]]:
    """The stream before each layer, and the last, of the circuit without parts."""
    if masks.inverted and start.resid:
        return start.resid
    heard, none = Streams(), evolve(masks, kept={}, circuits=1)
    run_masked(model, none, start, frozen, lengths, torch.zeros_like(lengths), heard)
    return heard.kept


def in_order(circuits: Sequence[Circuit], graph: TransformerGraph) -> list[int]:
    """The circuits so that neighbours have the same parts in early layers."""
    nodes = sorted({n for c in circuits for n in c.nodes}, key=lambda n: (graph.order(n.component), str(n)))
    return sorted(range(len(circuits)), key=lambda i: [node in circuits[i].nodes for node in nodes])
