"""A wiring on a transformer: every channel reads its own stream, and norms, patterns and MLPs are recomputed on it.

A stream is the frozen one plus, for each copy that is read, what the copy writes beyond its frozen value. The
streams of one layer are made by one matrix product, one for each distinct column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from attrs import field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.positions import Slot
from scrub.anatomy.table import CHANNELS
from scrub.circuit.values import Values
from scrub.circuit.wiring import Column, Copy, Outside, Where, Wiring, slots_of
from scrub.model.block import after_attention, change_entering, mixed, mlp_reads, mlp_writes, positions_of, read_heads
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.layers import write
from scrub.model.weights import Block, Transformer

FEW = 8  # a stream is a product of matrices unless its column reads less than one of so many copies


@frozen(eq=False)
class Places:
    """The batch: which frozen row each element is, its length, and where its named positions are."""

    row: Int[Tensor, " b"]
    lengths: Int[Tensor, " b"]
    answer: Int[Tensor, " b"]
    slots: dict[Slot, Int[Tensor, " b"]]
    longest: int

    @property
    def size(self) -> int:
        return len(self.row)


@frozen(eq=False)
class Deltas:
    """What copies write beyond their frozen values: some at every position, the others at the answer.

    Axis `copy` of `whole` begins with the frozen stream itself, so that one product of matrices makes a stream.
    """

    places: Places
    everywhere: list[bool]
    whole: Float[Tensor, "b t copy d"]
    last: Float[Tensor, "b copy d"]
    kind: Int[Tensor, "b t"]  # which of the wiring's slots lie at a position, as an index into `kinds`
    kinds: list[int]
    slots: tuple[Slot, ...]
    index: list[int]
    now: dict[str, Tensor] = field(factory=dict[str, Tensor], init=False)

    @classmethod
    def of(cls, wiring: Wiring, everywhere: list[bool], places: Places, like: Tensor) -> Deltas:
        count, size = sum(everywhere), (places.size, places.longest)
        anywhere = count or any(
            channel in ("k", "v") for copy in wiring.copies for channel, column in copy.reads if column
        )
        whole = like.new_empty(*size, count + 1 if anywhere else 0, like.shape[-1])
        last = like.new_empty(places.size, len(everywhere) - count, like.shape[-1])
        # Positions at which the same named slots lie are of one kind: weights are made for each kind, not each
        # position.
        bits = torch.zeros(size, dtype=torch.int64, device=like.device)
        for bit, slot in enumerate(wiring.slots):
            bits[torch.arange(places.size, device=like.device), places.slots[slot]] += 1 << bit
        kinds, kind = bits.unique(return_inverse=True)
        index, counts = list[int](), [0, 1]
        for wanted in everywhere:
            index.append(counts[wanted])
            counts[wanted] += 1
        return cls(places, everywhere, whole, last, kind, kinds.tolist(), wiring.slots, index)

    def put(self, number: int, value: Tensor) -> None:
        if self.everywhere[number]:
            self.whole[:, :, self.index[number]] = value
        else:
            self.last[:, self.index[number]] = value

    def base(self, stream: Float[Tensor, "row t d"]) -> None:
        """The frozen stream that is read from now on."""
        self.now["stream"] = stream
        if self.copied:
            self.whole[:, :, 0] = stream[self.places.row]

    @property
    def copied(self) -> bool:
        """Whether streams are made at every position; where only the answer needs them, one gather suffices."""
        return self.whole.shape[2] > 0

    def _weights(
        self, columns: Sequence[Column], wanted: bool, based: bool = True
    ) -> Float[Tensor, "kind column copy"]:
        """1 where a column reads a copy at positions of a kind, and the frozen stream where it is `based` on it."""
        first = 1 if wanted else 0
        read = [self.index[n] for column in columns for n, _ in column if self.everywhere[n] == wanted]
        found = np.zeros((len(self.kinds), len(columns), max(read, default=first - 1) + 1))
        found[:, :, :first] = float(based)
        for row, column in enumerate(columns):
            for number, where in column:
                if self.everywhere[number] == wanted:
                    there = [self._covers(where, kind) for kind in self.kinds]
                    found[there, row, self.index[number]] = 1  # a copy may be read at several positions
        return torch.from_numpy(found).to(self.whole.device, self.whole.dtype)

    def _covers(self, where: Where, kind: int) -> bool:
        present = any(kind >> self.slots.index(slot) & 1 for slot in slots_of(where))
        return where is None or present != isinstance(where, Outside)

    def streams(self, columns: Sequence[Column], based: bool = True) -> Float[Tensor, "b t column d"]:
        """The stream that each column reads, at every position; without the frozen one where not `based` on it."""
        entries = sum(self.everywhere[number] for column in columns for number, _ in column)
        if entries * FEW < len(columns) * self.whole.shape[2]:
            return torch.stack([self.summed(column, based) for column in columns], 2)
        weight = self._weights(columns, True, based)
        weight = weight[0] if len(self.kinds) == 1 else weight[self.kind]
        found = weight @ self.whole[:, :, : weight.shape[-1]]
        if any(not self.everywhere[n] for column in columns for n, _ in column):
            batch = torch.arange(self.places.size, device=found.device)
            # Copies that are needed at the answer alone are added there: at every position they would be as large as
            # `whole`.
            found[batch, self.places.answer] += self._at_answer(columns, False)
        return found

    def summed(self, column: Column, based: bool = True) -> Float[Tensor, "b t d"]:
        """The same of a column that reads few of the copies: these are added one by one."""
        found = self.whole[:, :, 0].clone() if based else torch.zeros_like(self.whole[:, :, 0])
        batch, answer = torch.arange(self.places.size, device=found.device), self.places.answer
        places: dict[int, list[Where]] = {}
        for number, where in column:  # a copy may be read at several positions, and they may be one
            places.setdefault(number, []).append(where)
        for number, listed in places.items():
            there = None if None in listed else self._there(listed)[..., None]
            if self.everywhere[number]:
                value = self.whole[:, :, self.index[number]]
                found += value if there is None else value * there
            else:
                value = self.last[:, self.index[number]]
                found[batch, answer] += value if there is None else value * there[batch, answer]
        return found

    def _there(self, places: Sequence[Where]) -> Float[Tensor, "b t"]:
        """1 at the positions of some place."""
        covered = [float(any(self._covers(where, kind) for where in places)) for kind in self.kinds]
        return torch.tensor(covered, device=self.whole.device, dtype=self.whole.dtype)[self.kind]

    def answers(self, columns: Sequence[Column], based: bool = True) -> Float[Tensor, "b column d"]:
        """The stream that each column reads where the answer is read."""
        return self._at_answer(columns, True, based) + self._at_answer(columns, False)

    def _at_answer(self, columns: Sequence[Column], wanted: bool, based: bool = True) -> Float[Tensor, "b column d"]:
        weight, answer = self._weights(columns, wanted, based), self.places.answer
        width, batch = weight.shape[-1], torch.arange(self.places.size, device=self.whole.device)
        if wanted and width == 1 and not based:
            return self.whole.new_zeros(self.places.size, len(columns), self.whole.shape[-1])
        if wanted and width == 1:  # the frozen stream alone
            return self.now["stream"][self.places.row, answer][:, None].expand(-1, len(columns), -1)
        known = self.whole[batch, answer, :width] if wanted else self.last[:, :width]
        return weight[self.kind[batch, answer]] @ known


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

    def final(self) -> Float[Tensor, "b output d"]:
        for number, value in self.leaves.items():
            self.deltas.put(number, value)
        base = self.frozen.start
        for layer, block in enumerate(self.model.blocks):
            base = self._layer(layer, block, base)
        self.deltas.base(base)
        return self.deltas.answers([column for _, column in self.wiring.final])

    def _layer(self, layer: int, block: Block, base: Tensor) -> Tensor:
        """All copies of a layer; the frozen stream after it."""
        heads, mlps = self.at.get(("z", layer), []), self.at.get(("mlp_out", layer), [])
        enters = self.at.get(("attn_out", layer), [])
        known = self.frozen.resid
        # Nothing of this layer is copied: its frozen stream is known, and no copy's delta depends on it.
        if known and not heads and not mlps and not enters:
            return known[layer + 1]
        self.deltas.base(base)
        columns = self._columns(heads, mlps, enters or heads)
        streams = dict(zip(columns, self.deltas.streams(columns).unbind(2), strict=True)) if columns else {}
        for everywhere in (True, False):
            if copies := [n for n in heads if self.everywhere[n] == everywhere]:
                self._attend(layer, block, base, copies, everywhere, streams)
        self._enter(layer, block, enters)
        if known:
            self._mlps(layer, block, self.frozen.mid[layer], mlps, streams, enters or heads)
            return known[layer + 1]
        # Where the frozen streams were not kept, they are made again from the writers that were.
        after = after_attention(block, base, write(block.attn, self.frozen.z[layer]))
        self._mlps(layer, block, mlp_reads(block, base, after), mlps, streams, enters or heads)
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
        z = mixed(attn, q, k, v, at, self.places.lengths)
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
        row, answer = self.places.row, self.places.answer
        whole = write(block.attn, self.frozen.z[layer])
        for number in copies:
            column, everywhere = self.wiring.copies[number].reads[0][1], self.everywhere[number]
            find = self.deltas.streams if everywhere else self.deltas.answers
            change, out = find([column], based=False)[..., 0, :], whole[row if everywhere else (row, answer)]
            self.deltas.put(number, change_entering(block, change, lambda out=out: out))

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
            found[column] = read_heads(block, channel, streams[column], wanted[column], positions)
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
        before = self.deltas.whole[:, :, 0].clone() if self.deltas.copied else None
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
            part.code.write(_of_known(part, known) - self.frozen.more[part.component.array][where])
            for part in map(self.codes.of, copy.less or (copy.component,))
        ]
        return whole - torch.stack(changes).sum(0) if copy.less else changes[0]

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
    """A head is known by what it writes, else by the array that a code reads."""
    return part.code.encode(known["z"]) if part.array[0] == "z" else part.of_array(known[part.array[0]])


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
        if not copy.leaf:
            array = ("attn_out", copy.component.layer or 0) if copy.entering else copy.component.host.array
            at.setdefault(array, []).append(number)
    with torch.no_grad():
        return WiringRun(model, wiring, frozen, places, leaves, everywhere, deltas, positions, at, codes).final()
