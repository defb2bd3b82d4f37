"""Many circuits of components on a block: what they have alike is computed once, and what none of them changes never.

All circuits start from one run, that of the circuit without parts. A circuit differs from it where its parts stand
and, from there on, where a live head looks: elsewhere, and before its first part, it is that run. The stream at a
place after a layer depends on the stream there before, on which writers of the layer are live there and, if a head
is, on the streams that it sees: circuits that agree on all of these share it. Exact, as `run_masked` is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import evolve, field, frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.circuit.masked import MaskedRun, Masks
from scrub.circuit.same_streams import Ids, SameStreams
from scrub.circuit.values import Values
from scrub.model.block import after_attention, after_mlp, mixed, mlp_reads, mlp_writes, positions_of, read_heads
from scrub.model.layers import write
from scrub.model.weights import Block, Transformer

State = tuple[list[Ids], list[Tensor]]  # which stream circuits have at each place, and the streams there


@frozen(eq=False)
class Streams:
    """The stream of one run before each layer, and the last, on a device; a run tells it as it goes."""

    device: torch.device
    kept: list[Tensor] = field(factory=list[Tensor], init=False)

    def first(self, otherwise: int) -> int:
        return 0

    def heard(self, kind: str, layer: int, computed: Tensor) -> None:
        if kind == "resid_pre":
            self.kept.append(computed.to(self.device))

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
    """Circuits (`masks`, `same`) on one block. `base` is the stream of the circuit without parts before each layer.

    `places` are the positions that may differ from it, in groups that are computed together: `[row, place]` each, the
    last with the answer.
    """

    model: Transformer
    same: SameStreams
    masks: Masks
    frozen: Values
    base: Sequence[Float[Tensor, "row t d"]]
    lengths: Int[Tensor, " row"]
    places: tuple[Int[Tensor, "row place"], ...]

    @property
    def rows(self) -> Int[Tensor, "row 1"]:
        return torch.arange(len(self.lengths), device=self.lengths.device)[:, None]

    def begin(self) -> State:
        return self.same.first(), [self.base[0][self.rows, at][None] for at in self.places]

    def through(self, state: State, first: int, last: int) -> State:
        for layer in range(first, last):
            state = self._layer(layer, self.model.blocks[layer], *state)
        return state

    def final(self, state: State) -> Float[Tensor, "circuit row place d"]:
        """The final stream at the last places, of each circuit."""
        ids, streams = state
        return streams[-1][self._index(ids[-1][:-1])]

    def _layer(self, layer: int, block: Block, ids: list[Ids], streams: list[Tensor]) -> State:
        heads = self.same.heads(layer)
        seen = SeenStreams(heads, ids, *(self._seen(channel, block, heads, layer, streams) for channel in "kv"))
        after, made = list[Ids](), list[Tensor]()
        for place, at in enumerate(self.places):
            numbers, new = self.same.after(layer, place, ids)
            after.append(numbers)
            found = [self.base[layer + 1][self.rows, at][None]]
            if len(new):
                x = streams[place][self._index(ids[place][new])]
                found.append(self._computed(layer, place, x, new, seen))
            made.append(torch.cat(found))
        return after, made

    def _index(self, ids: Ids) -> Int[Tensor, " n"]:
        return torch.from_numpy(ids).to(self.lengths.device)

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


def base_of(
    model: Transformer, masks: Masks, start: Values, frozen: Values, lengths: Int[Tensor, " row"]
) -> list[Float[Tensor, "row t d"]]:
    """The stream before each layer, and the last, of the circuit without parts."""
    if masks.inverted and start.resid:
        return start.resid
    heard, none = Streams(model.device), evolve(masks, kept={}, circuits=1)
    run = MaskedRun(model, none, start, frozen, lengths, torch.zeros_like(lengths), heard)
    run.through(run.begin(), 0, len(model.blocks))
    return heard.kept
