"""Parts of queries, keys and values in a wiring: what a head reads along them is what they are.

Such a part writes into its own head alone, before rotary angles. Where the head reads it, what the head makes of
everything else that it reads has nothing along it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import evolve, field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.circuit.streams import Deltas
from scrub.circuit.values import Values
from scrub.circuit.wiring import Column, Where, Wiring
from scrub.model.block import held_by, read_before
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.weights import Block

ReadParts = list[tuple[CodedPart, dict[int, list[Where]]]]


@frozen(eq=False)
class ChannelParts:
    """Copies of such parts, by number. `changes` are what they write beyond their frozen values, once made."""

    coded: dict[int, CodedPart]
    frozen: Values
    deltas: Deltas
    changes: dict[int, Float[Tensor, "b t e"]] = field(factory=dict[int, Tensor])

    @classmethod
    def of(cls, wiring: Wiring, frozen: Values, deltas: Deltas, codes: PartCodes) -> ChannelParts:
        listed = [(number, copy.component) for number, copy in enumerate(wiring.copies)]
        return cls({number: codes.of(c) for number, c in listed if c.traits.is_channel}, frozen, deltas)

    def part(self, some: slice, deltas: Deltas) -> ChannelParts:
        """The same of some elements."""
        return evolve(self, deltas=deltas, changes={n: change[some] for n, change in self.changes.items()})

    def put(self, number: int, change: Tensor) -> None:
        """What a copy writes more: at every position, or `[b, e]` where it is needed at the answer alone."""
        if not self.deltas.everywhere[number]:
            places = self.deltas.places
            whole = change.new_zeros(places.size, places.longest, change.shape[-1])
            whole[self._batch[:, 0], places.answer] = change
            change = whole
        self.changes[number] = change

    def make(self, number: int, block: Block, x: Float[Tensor, "*n d"], where: tuple[Tensor, ...]) -> None:
        """A copy of the stream that it reads, at the frozen rows and positions of `where`."""
        part = self.coded[number]
        channel, head = part.component.kind, part.component.unit or 0
        made = read_before(block, channel, x, held_by(block.attn, channel, [head]))[..., 0, :]
        old = self.frozen.more[part.component.array][where]
        self.put(number, part.code.write(part.code.encode(made) - old))

    def read_in(self, column: Column) -> ReadParts:
        """The parts that a channel reads: of each its copies, and where these are read."""
        found: dict[CodedPart, dict[int, list[Where]]] = {}
        mine = [entry for entry in column if entry[0] in self.coded] if self.coded else []
        for number, where in sorted(mine, key=lambda entry: entry[0]):
            found.setdefault(self.coded[number], {}).setdefault(number, []).append(where)
        return list(found.items())

    def put_in(
        self, made: Float[Tensor, "b n heads e"], parts: ReadParts, at: Int[Tensor, "b n"]
    ) -> Float[Tensor, "b n heads e"]:
        """What heads make of a stream before angles, with the parts that they read of it."""
        for part, places in parts:
            made = made + self._moved(part, places, made, at)
        return made

    def _moved(
        self, part: CodedPart, places: dict[int, list[Where]], found: Tensor, at: Int[Tensor, "b n"]
    ) -> Float[Tensor, "b n heads e"]:
        """What brings queries, keys or values to what a part is, where it is read."""
        old = self.frozen.more[part.component.array][self.deltas.places.row[:, None], at]
        wanted = part.code.write(old)
        for number, listed in places.items():
            if number in self.changes:  # a copy that clears writes nothing more
                wanted = wanted + self.changes[number][self._batch, at] * self._there(listed, at)
        now = part.code.write(part.code.encode(found))
        there = self._there([where for listed in places.values() for where in listed], at)
        return (wanted[:, :, None] - now) * there[:, :, None]

    def _there(self, places: Sequence[Where], at: Int[Tensor, "b n"]) -> Float[Tensor, "b n 1"]:
        return self.deltas.there(places)[self._batch, at][..., None]

    @property
    def _batch(self) -> Int[Tensor, "b 1"]:
        places = self.deltas.places
        return torch.arange(places.size, device=places.row.device)[:, None]
