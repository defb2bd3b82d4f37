"""A wiring on a transformer: every channel reads its own stream; norms, patterns and MLPs are recomputed on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from attrs import evolve, frozen
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
    attention_reads,
    change_entering,
    mixed,
    mlp_entering,
    mlp_reads,
    mlp_writes,
    positions_of,
    read_each_before,
    read_heads,
)
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.layers import angled, write
from scrub.model.places import beside
from scrub.model.upload import some
from scrub.model.weights import Block, Transformer

CLEARED = "cleared"  # where what heads write along a part of their sum is taken away
# Numbers of streams that are made at once on a CPU: what is larger leaves its caches, and is given back to the system
# and asked for anew in each layer
AT_ONCE = 2**21
INTO_HEADS = "into heads"  # where queries, keys and values are written


@frozen(eq=False)
class ReadStreams:
    """Streams as attention of a layer reads them, at positions `at`, by their columns."""

    normed: Float[Tensor, "b n column d"]
    place: dict[Column, int]
    at: Int[Tensor, "b n"]

    @classmethod
    def of(
        cls, block: Block, columns: list[Column], x: Float[Tensor, "b n stream d"], at: Int[Tensor, "b n"]
    ) -> ReadStreams:
        """Those of some columns, which are the first streams of `x`."""
        normed = attention_reads(block, beside(block.attn.W_Q, x)) if columns else x
        return cls(normed, {column: number for number, column in enumerate(columns)}, at)


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
        before = self._stream(layer, block, base, heads, self._read_before(mlps, late))
        self._enter(layer, block, enters)
        self._clear(block, self.frozen.z[layer], clears)
        if known:
            self._mlps(layer, block, self.frozen.mid[layer], mlps, before, late)
            self._enter_mlp(layer, block, sums)
            return known[layer + 1]
        # Where the frozen streams were not kept, they are made again from the writers that were.
        after = after_attention(block, base, write(block.attn, self.frozen.z[layer]))
        self._mlps(layer, block, mlp_reads(block, base, after), mlps, before, late)
        self._enter_mlp(layer, block, sums)
        return after + self.frozen.mlp[layer]

    def _stream(
        self, layer: int, block: Block, base: Tensor, heads: Sequence[int], earlier: list[Column]
    ) -> dict[Column, Float[Tensor, "b t d"]]:
        """Streams at every position: heads of a layer are made of theirs, and those of MLPs are returned."""
        groups = [[n for n in heads if self.everywhere[n] == there] for there in (True, False)]
        read, found, z = self._read_by(heads), list[Tensor](), [list[Tensor](), list[Tensor]()]
        sums = self.deltas.sums(read, earlier)
        for part in self._parts(len(read) + len(earlier)):
            streams = part.deltas.summed(sums)
            found.append(streams[:, :, len(read) :].clone())
            normed = ReadStreams.of(block, read, streams, part.positions)
            for copies, made in zip(groups, z, strict=True):
                made += [part._attended(block, base, copies, normed)] if copies else []
        for copies, made in zip(groups, z, strict=True):
            if copies:
                self._write(layer, block, copies, torch.cat(made))
        return dict(zip(earlier, torch.cat(found).unbind(2), strict=True))

    def _parts(self, streams: int) -> Iterator[WiringRun]:
        """The run on some elements at a time: as many as so many streams of them stay in a cache."""
        each = max(1, streams * self.places.longest * self.model.shape.d_model)
        size = max(1, self.model.at_most(AT_ONCE) // each)
        for first in range(0, self.places.size, size):
            yield self if size >= self.places.size else self._part(slice(first, first + size))

    def _part(self, some: slice) -> WiringRun:
        deltas = self.deltas.part(some)
        channels = self.channels.part(some, deltas)
        return evolve(self, places=deltas.places, deltas=deltas, positions=self.positions[some], channels=channels)

    def _read_by(self, heads: Sequence[int]) -> list[Column]:
        """Every distinct column that heads of a layer read at every position."""
        found: dict[Column, None] = {}
        for wanted in CHANNELS:  # those of one channel side by side
            for number in heads:
                column = dict(self.wiring.copies[number].reads)[wanted]
                if column and (self.everywhere[number] or wanted != "q"):
                    found[column] = None
        return list(found)

    def _read_before(self, mlps: Sequence[int], late: Sequence[int]) -> list[Column]:
        """What MLPs read at every position that comes from earlier layers."""
        columns = [self.wiring.copies[number].reads[0][1] for number in mlps if self.everywhere[number]]
        return list(dict.fromkeys(self._earlier(column, late) for column in columns))

    def _earlier(self, column: Column, late: Sequence[int]) -> Column:
        return frozenset(entry for entry in column if entry[0] not in late)

    def _attended(
        self, block: Block, base: Tensor, copies: Sequence[int], streams: ReadStreams
    ) -> Float[Tensor, "b n heads e"]:
        """The z of copies of heads that are needed at every position, or of those needed at the answer."""
        listed, asking = [self.wiring.copies[n] for n in copies], streams
        if not self.everywhere[copies[0]]:
            columns = list(dict.fromkeys(c for copy in listed if (c := dict(copy.reads)["q"])))
            asked = self.deltas.answers(columns)[:, None]
            asking = ReadStreams.of(block, columns, asked, self.places.answer[:, None])
        q, k, v = (self._channel(c, block, base, listed, asking if c == "q" else streams) for c in CHANNELS)
        heads = [head for copy in listed for head in copy.heads]
        return mixed(block.attn, q, k, v, asking.at, self.places.lengths, heads)

    def _write(self, layer: int, block: Block, copies: list[int], z: Float[Tensor, "b n heads e"]) -> None:
        """What copies of heads write beyond their frozen values, those of one z."""
        attn, old, first = block.attn, self.frozen.z[layer], 0
        row, answer = self.places.row, self.places.answer
        where = (row,) if self.everywhere[copies[0]] else (row[:, None], answer[:, None])
        for number in copies:
            copy = self.wiring.copies[number]
            heads, mine = list(copy.heads), z[..., first : first + len(copy.heads), :]
            made = write(attn, mine - old[..., heads, :][where], heads)
            if copy.alone:
                made = self._apart(copy, {"z": write(attn, mine, heads)}, made, where)
            self.deltas.put(number, made if self.everywhere[number] else made[:, 0])
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
        column = [self.wiring.copies[number].reads[0][1]]
        return find(*((column, ()) if based else ((), column)))[..., 0, :]

    def _move(self, number: int, old: Tensor, new: Tensor) -> None:
        """A part of a sum that goes from an old one to a new one; or away from it, where it clears."""
        copy = self.wiring.copies[number]
        part = self.codes.of(copy.component)
        sides = (new, old) if not copy.clears else (old, new)
        self.deltas.put(number, part.code.write(part.of_array(sides[0]) - part.of_array(sides[1])))

    def _channel(
        self, channel: str, block: Block, base: Tensor, copies: list[Copy], streams: ReadStreams
    ) -> Float[Tensor, "b n heads e"]:
        """Queries, keys or values of all heads of some copies, in their order; of what several read, one."""
        reads = [(dict(copy.reads)[channel], head) for copy in copies for head in copy.heads]
        live, still = ([*dict.fromkeys(r for r in reads if bool(r[0]) == there)] for there in (True, False))
        made = [self._of_streams(channel, block, live, streams)] if live else []
        if still:
            made.append(self._of_base(channel, block, base, [head for _, head in still], streams.at))
        place = {read: number for number, read in enumerate((*live, *still))}
        return some(made[0] if len(made) == 1 else torch.cat(made, dim=-2), [place[read] for read in reads], -2)

    def _of_streams(
        self, channel: str, block: Block, reads: list[tuple[Column, int]], streams: ReadStreams
    ) -> Float[Tensor, "b n heads e"]:
        """The same of heads that read streams of their own."""
        columns, heads = [streams.place[column] for column, _ in reads], [head for _, head in reads]
        made = beside(streams.at, read_each_before(block, channel, streams.normed, columns, heads))
        for number, (column, _) in enumerate(reads):
            if parts := self.channels.read_in(column):
                made[..., [number], :] = self.channels.put_in(made[..., [number], :], parts, streams.at)
        return angled(block.attn, channel, made, streams.at)

    def _of_base(
        self, channel: str, block: Block, base: Tensor, heads: list[int], at: Int[Tensor, "b n"]
    ) -> Float[Tensor, "b n heads e"]:
        """The same of heads that read the frozen stream, which is one for all elements of a row."""
        row = self.places.row
        if len(row) < len(base):
            base, row = base[row], torch.arange(len(row), device=row.device)
        made = read_heads(block, channel, base, heads, positions_of(base))
        return made[row[:, None], at]

    def _mlps(
        self, layer: int, block: Block, mid: Tensor, mlps: list[int], before: dict[Column, Tensor], late: list[int]
    ) -> None:
        if not mlps:
            return
        row, answer = self.places.row, self.places.answer
        self.deltas.base(mid)
        if small := self._by_column(mlps, everywhere=False):  # computed together
            where, x = (row[:, None], answer[:, None]), self.deltas.answers(list(small))
            made = mlp_writes(block, x) - self.frozen.mlp[layer][where]
            for i, copies in enumerate(small.values()):
                self._put_mlps(block, copies, x[:, i : i + 1], made[:, i : i + 1], where)
        for column, copies in self._by_column(mlps, everywhere=True).items():
            recent = frozenset(entry for entry in column if entry[0] in late)
            x = before[self._earlier(column, late)] + self.deltas.streams([recent])[:, :, 0]
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
