"""A wiring on a transformer: every channel reads its own stream; norms, patterns and MLPs are recomputed on it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.positions import Slot
from scrub.anatomy.table import CHANNELS, MLP_SUM, STREAMS
from scrub.circuit.channels import ChannelParts
from scrub.circuit.ends import of_attention
from scrub.circuit.hosted import of_heads
from scrub.circuit.streams import Deltas, Places
from scrub.circuit.values import Values
from scrub.circuit.wiring import Column, Copy, Wiring
from scrub.model.block import (
    after_attention,
    change_entering,
    mixed,
    mlp_entering,
    mlp_reads,
    mlp_writes,
    positions_of,
    read_heads,
    read_heads_before,
)
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.layers import angled, write
from scrub.model.weights import Block, Transformer

CLEARED = "cleared"  # where what heads write along a part of their sum is taken away
INTO_HEADS = "into heads"  # where queries, keys and values are written


@frozen(eq=False)
class WiringRun:
    """One evaluation of a wiring. `leaves` are the values of its leaves, by number."""

    model: Transformer
    wiring: Wiring
    frozen: Values
    places: Places
    leaves: dict[int, Tensor]
    everywhere: list[bool]
    deltas: Deltas
    positions: Int[Tensor, "b t"]
    at: dict[tuple[str, int], list[int]]  # the copies that write an array of a layer
    codes: PartCodes
    channels: ChannelParts

    def final(self) -> Float[Tensor, "b output d"]:
        for number, value in self.leaves.items():
            (self.channels if number in self.channels.coded else self.deltas).put(number, value)
        base = self.frozen.start
        for layer, block in enumerate(self.model.blocks):
            base = self._layer(layer, block, base)
        self.deltas.base(base)
        self._along_stream(len(self.model.blocks), base)
        return self.deltas.answers([column for _, column in self.wiring.final])

    def _layer(self, layer: int, block: Block, base: Tensor) -> Tensor:
        """All copies of a layer; the frozen stream after it."""
        heads, mlps = self.at.get(("z", layer), []), self.at.get(("mlp_out", layer), [])
        enters, clears = self.at.get(("attn_out", layer), []), self.at.get((CLEARED, layer), [])
        sums, known = self.at.get((MLP_SUM, layer), []), self.frozen.resid
        # Nothing of this layer is copied: its frozen stream is known, and no copy's delta depends on it.
        if known and not any((heads, mlps, enters, clears, sums, self.at.get((STREAMS[0], layer)))):
            return known[layer + 1]
        self.deltas.base(base)
        self._along_stream(layer, base)
        for number in self.at.get((INTO_HEADS, layer), []):
            self.channels.make(number, block, self._read(number), self._where(number))
        late = [*(enters or heads), *clears]
        columns = self._columns(heads, mlps, late)
        streams = dict(zip(columns, self.deltas.streams(columns).unbind(1), strict=True)) if columns else {}
        for everywhere in (True, False):
            if copies := [n for n in heads if self.everywhere[n] == everywhere]:
                self._attend(layer, block, base, copies, everywhere, streams)
        self._enter(layer, block, enters)
        self._clear(block, self.frozen.z[layer], clears)
        if known:
            self._mlps(layer, block, self.frozen.mid[layer], mlps, streams, late)
            self._enter_mlp(layer, block, sums)
            return known[layer + 1]
        # Where the frozen streams were not kept, they are made again from the writers that were.
        after = after_attention(block, base, write(block.attn, self.frozen.z[layer]))
        self._mlps(layer, block, mlp_reads(block, base, after), mlps, streams, late)
        self._enter_mlp(layer, block, sums)
        return after + self.frozen.mlp[layer]

    def _columns(self, heads: Sequence[int], mlps: Sequence[int], late: Sequence[int]) -> list[Column]:
        """Every distinct column that a layer reads at every position; of MLPs, what comes from earlier layers."""
        found: dict[Column, None] = {}
        for number in heads:
            for channel, column in self.wiring.copies[number].reads:
                if column and (self.everywhere[number] or channel != "q"):
                    found[column] = None
        for number in mlps:
            if self.everywhere[number]:
                found[self._earlier(self.wiring.copies[number].reads[0][1], late)] = None
        return list(found)

    def _earlier(self, column: Column, heads: Sequence[int]) -> Column:
        return frozenset(entry for entry in column if entry[0] not in heads)

    def _attend(
        self,
        layer: int,
        block: Block,
        base: Tensor,
        copies: list[int],
        everywhere: bool,
        streams: dict[Column, Tensor],
    ) -> None:
        attn = block.attn
        listed = [self.wiring.copies[n] for n in copies]
        q, k, v = (self._channel(c, block, base, listed, everywhere or c != "q", streams) for c in CHANNELS)
        at = self.positions if everywhere else self.places.answer[:, None]
        z = mixed(attn, q, k, v, at, self.places.lengths, [head for copy in listed for head in copy.heads])
        where = (self.places.row,) if everywhere else (self.places.row[:, None], self.places.answer[:, None])
        old, first = self.frozen.z[layer], 0
        for number, copy in zip(copies, listed, strict=True):
            heads, mine = list(copy.heads), z[..., first : first + len(copy.heads), :]
            made = write(attn, mine - old[..., heads, :][where], heads)
            if copy.alone:
                made = self._apart(copy, {"z": write(attn, mine, heads)}, made, where)
            self.deltas.put(number, made if everywhere else made[:, 0])
            first += len(heads)

    def _enter(self, layer: int, block: Block, copies: Sequence[int]) -> None:
        """What heads of a layer make together of the stream, beyond the frozen one."""
        if not copies:
            return
        whole = write(block.attn, self.frozen.z[layer])
        for number in copies:
            change, out = self._read(number, based=False), whole[self._where(number)]
            self.deltas.put(number, change_entering(block, change, lambda out=out: out))

    def _enter_mlp(self, layer: int, block: Block, copies: Sequence[int]) -> None:
        """The same of neurons, with what they leave of their MLP; where none is read the MLP is as it is frozen."""
        for number in copies:
            where, ((_, column),) = self._where(number), self.wiring.copies[number].reads
            summed = self.frozen.more[MLP_SUM, layer][where] + self._read(number, based=False)
            there = self.deltas.there([place for _, place in column])
            there = there if self.everywhere[number] else there[torch.arange(len(there)), self.places.answer]
            self.deltas.put(number, (mlp_entering(block, summed) - self.frozen.mlp[layer][where]) * there[..., None])

    def _clear(self, block: Block, z: Tensor, copies: Sequence[int]) -> None:
        """What heads of a layer write along parts of their sum, taken away again."""
        out = write(block.attn, z) if copies else z
        for number in copies:
            before = out[self._where(number)]
            self._move(number, before, before + self._read(number, based=False))

    def _along_stream(self, layer: int, base: Tensor) -> None:
        """Parts of the stream before a layer: what they are, and what others write along them, taken away again."""
        for number in self.at.get((STREAMS[0], layer), []):
            self._move(number, base[self._where(number)], self._read(number))

    def _where(self, number: int) -> tuple[Tensor, ...]:
        return (self.places.row,) if self.everywhere[number] else (self.places.row, self.places.answer)

    def _read(self, number: int, based: bool = True) -> Tensor:
        """The stream that the one channel of a copy reads, where the copy is needed."""
        find = self.deltas.streams if self.everywhere[number] else self.deltas.answers
        return find([self.wiring.copies[number].reads[0][1]], based)[:, 0]

    def _move(self, number: int, old: Tensor, new: Tensor) -> None:
        """A part of a sum that goes from an old one to a new one; or away from it, where it clears."""
        copy = self.wiring.copies[number]
        part = self.codes.of(copy.component)
        sides = (new, old) if not copy.clears else (old, new)
        self.deltas.put(number, part.code.write(part.of_array(sides[0]) - part.of_array(sides[1])))

    def _channel(
        self, channel: str, block: Block, base: Tensor, copies: list[Copy], whole: bool, streams: dict[Column, Tensor]
    ) -> Tensor:
        """Queries, keys or values of all heads of some copies, in their order; each distinct stream is read once."""
        columns = [dict(copy.reads)[channel] for copy in copies]
        wanted: dict[Column, list[int]] = {}
        for copy, column in zip(copies, columns, strict=True):
            wanted.setdefault(column, []).extend(copy.heads)
        made = self._projected(channel, block, base, wanted, whole, streams)
        taken: dict[Column, int] = dict.fromkeys(wanted, 0)
        parts: list[Tensor] = []
        for copy, column in zip(copies, columns, strict=True):
            first = taken[column]
            parts.append(made[column][..., first : first + len(copy.heads), :])
            taken[column] = first + len(copy.heads)
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)

    def _projected(
        self, channel: str, block: Block, base: Tensor, wanted: dict[Column, list[int]], whole: bool,
        streams: dict[Column, Tensor],
    ) -> dict[Column, Tensor]:  # fmt: skip
        found: dict[Column, Tensor] = {}
        columns = [column for column in wanted if column]
        positions = self.positions if whole else self.places.answer[:, None]
        if not whole and columns:
            streams = dict(zip(columns, self.deltas.answers(columns)[:, :, None].unbind(1), strict=True))
        for column in columns:
            x, heads, parts = streams[column], wanted[column], self.channels.read_in(column)
            if parts:
                made = self.channels.put_in(read_heads_before(block, channel, x, heads), parts, positions)
                found[column] = angled(block.attn, channel, made, positions)
            else:
                found[column] = read_heads(block, channel, x, heads, positions)
        if frozenset() in wanted:  # the frozen stream is the same for all elements of a row
            made = read_heads(block, channel, base, wanted[frozenset()], positions_of(base))
            where = (self.places.row,) if whole else (self.places.row[:, None], self.places.answer[:, None])
            found[frozenset()] = made[where]
        return found

    def _mlps(
        self, layer: int, block: Block, mid: Tensor, mlps: list[int], streams: dict[Column, Tensor], heads: list[int]
    ) -> None:
        if not mlps:
            return
        row, answer = self.places.row, self.places.answer
        # The next line overwrites the frozen stream that `streams` contain: it is taken out of them again below.
        before = self.deltas.whole[:, 0].clone() if self.deltas.copied else None
        self.deltas.base(mid)
        if late := self._by_column(mlps, everywhere=False):  # small ones, computed together
            where, x = (row[:, None], answer[:, None]), self.deltas.answers(list(late))
            made = mlp_writes(block, x) - self.frozen.mlp[layer][where]
            for i, copies in enumerate(late.values()):
                self._put_mlps(block, copies, x[:, i : i + 1], made[:, i : i + 1], where)
        for column, copies in self._by_column(mlps, everywhere=True).items():
            assert before is not None
            x = streams[self._earlier(column, heads)] - before + self._recent(column, heads)
            self._put_mlps(block, copies, x, mlp_writes(block, x) - self.frozen.mlp[layer][row], (row,))

    def _by_column(self, copies: Sequence[int], everywhere: bool) -> dict[Column, list[int]]:
        """MLPs that are needed at every position, or at the answer alone, by what they read."""
        found: dict[Column, list[int]] = {}
        for number in copies:
            if self.everywhere[number] == everywhere:
                found.setdefault(self.wiring.copies[number].reads[0][1], []).append(number)
        return found

    def _put_mlps(
        self, block: Block, copies: Sequence[int], x: Tensor, made: Tensor, where: tuple[Tensor, ...]
    ) -> None:
        """What copies of an MLP that read a stream write beyond their frozen value: a whole one, `made`."""
        for number in copies:
            copy = self.wiring.copies[number]
            own = self._apart(copy, known_of_mlp(block, x), made, where) if copy.alone else made
            self.deltas.put(number, own if self.everywhere[number] else own[:, 0])

    def _apart(self, copy: Copy, known: dict[str, Tensor], whole: Tensor, where: tuple[Tensor, ...]) -> Tensor:
        """What a part writes beyond its frozen value, or its host (which writes `whole` more) without some parts."""
        changes = [
            part.code.write(_of_known(part, known) - self._old(part)[where])
            for part in map(self.codes.of, copy.less or (copy.component,))
        ]
        if copy.lacks_neurons and self.model.shape.post_norms:  # the norm comes later, with what is read of them
            layer = copy.component.layer or 0
            whole = known[MLP_SUM] - self.frozen.more[MLP_SUM, layer][where]
        return whole - torch.stack(changes).sum(0) if copy.less else changes[0]

    def _old(self, part: CodedPart) -> Tensor:
        """What a part is where it is frozen: of attention of a layer, what it is of what all heads write."""
        if not of_attention(part.component):
            return self.frozen.more[part.component.array]
        return of_heads(self.model, part, self.frozen.z[part.component.layer or 0])

    def _recent(self, column: Column, heads: list[int]) -> Tensor:
        """The frozen stream and what this layer's heads wrote: what came after attention read."""
        return self.deltas.summed(frozenset(entry for entry in column if entry[0] in heads))


def known_of_mlp(block: Block, x: Float[Tensor, "*n d"]) -> dict[str, Tensor]:
    """What codes of parts of an MLP read, by the arrays of a pass, given the stream that it reads."""
    found = {"mlp_input": x}

    def tap(kind: str, value: Tensor) -> Tensor:
        found[kind] = value
        return value

    return {**found, "mlp_out": mlp_writes(block, x, tap=tap)} | found


def _of_known(part: CodedPart, known: dict[str, Tensor]) -> Tensor:
    """Heads are known by what they write, else a host by the array that a code reads."""
    if part.component.traits.attends:
        return part.of_array(known["z"]) if of_attention(part.component) else part.code.encode(known["z"])
    return part.of_array(known[part.array[0]])


def _written_at(copy: Copy) -> tuple[str, int]:
    """The array of a pass, and its layer, with which a copy is made."""
    array, layer = copy.component.host.array
    if copy.entering:
        return "attn_out" if copy.component.traits.attends else MLP_SUM, layer
    if copy.component.traits.is_channel:
        return INTO_HEADS, layer
    return (CLEARED, layer) if copy.clears and of_attention(copy.component) else (array, layer)


def run_wiring(
    model: Transformer, wiring: Wiring, frozen: Values, leaves: dict[int, Tensor], places: Places,
    answer: Slot | None, codes: PartCodes,
) -> Float[Tensor, "b output d"]:  # fmt: skip
    """The final stream of each output at the answer. `leaves[n]` is what leaf n writes beyond its frozen value:
    `[b, t, d]`, or `[b, d]` where it is needed at the answer alone.

    Exact: every channel's norm, pattern and MLP is recomputed on the stream that it reads.
    """
    everywhere = wiring.everywhere(answer)
    deltas = Deltas.of(wiring, everywhere, places, frozen.embed)
    positions = torch.arange(places.longest, device=places.row.device).expand(places.size, -1)
    at: dict[tuple[str, int], list[int]] = {}
    for number, copy in enumerate(wiring.copies):
        if not copy.leaf and not (copy.clears and copy.component.traits.is_channel):  # such a one adds nothing
            at.setdefault(_written_at(copy), []).append(number)
    with torch.no_grad():
        channels = ChannelParts.of(wiring, frozen, deltas, codes)
        run = WiringRun(model, wiring, frozen, places, leaves, everywhere, deltas, positions, at, codes, channels)
        return run.final()
