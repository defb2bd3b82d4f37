"""What copies write beyond their frozen values, and the streams that are made of it.

A stream at a position is a sum of rows of one table: of the frozen stream there, and of what each copy that is read
writes there beyond its frozen value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from attrs import evolve, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.positions import Slot
from scrub.circuit.wiring import Column, Outside, Where, Wiring, slots_of


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

    def part(self, some: slice) -> Places:
        """Some elements of it."""
        slots = {slot: index[some] for slot, index in self.slots.items()}
        return Places(self.row[some], self.lengths[some], self.answer[some], slots, self.longest)

    @property
    def at_answer(self) -> tuple[Tensor, Tensor]:
        return torch.arange(self.size, device=self.row.device), self.answer


@frozen(eq=False)
class SummedRows:
    """Rows that are summed. The first is 0; `whole` and `last` are views of the others, each begins with the frozen
    stream: copies that are needed at every position, and those needed at the answer.

    What lies at a position lies together: all streams there are made of the same rows, which a cache holds.
    """

    rows: Float[Tensor, "row d"]
    whole: Float[Tensor, "b t copy d"]
    last: Float[Tensor, "b copy d"]

    @classmethod
    def of(cls, places: Places, whole: int, last: int, like: Tensor) -> SummedRows:
        """For so many of each. It is not filled: a copy is read only when it was made."""
        b, t, d = places.size, places.longest, like.shape[-1]
        rows = like.new_empty(1 + b * t * whole + b * last, d)
        rows[0] = 0
        end = len(rows) - b * last
        return cls(rows, rows[1:end].view(b, t, whole, d), rows[end:].view(b, last, d))

    def part(self, some: slice) -> SummedRows:
        return evolve(self, whole=self.whole[some], last=self.last[some])


@frozen(eq=False)
class Spots:
    """Positions at which streams are made: their kinds, and the rows of the table at which what is there begins."""

    kind: Int[Tensor, "*p"]
    whole: Int[Tensor, "*p"]
    last: Int[Tensor, "*p"]

    @classmethod
    def of(cls, table: SummedRows, kind: Int[Tensor, "b t"]) -> Spots:
        """Every position of every element."""
        b, t, whole, _ = table.whole.shape
        number = torch.arange(b * t, device=kind.device, dtype=torch.int32).view(b, t)
        last = len(table.rows) - (b - number[:, :1].div(t, rounding_mode="floor")) * table.last.shape[1]
        return cls(kind, 1 + number * whole, last.expand(b, t))

    def at(self, index: Any) -> Spots:
        return Spots(self.kind[index], self.whole[index], self.last[index])


@frozen(eq=False)
class Sums:
    """Of what streams are made: rows one after the other, and with which each stream begins.

    `index` counts from where what is at a position begins. Rows `last` are of copies that are needed at the answer;
    those that are read at some positions alone are `located`, where they are `covered`, by kinds of positions.
    """

    index: Int[Tensor, " n"]
    begins: Int[Tensor, " stream"]
    last: list[int]
    located: list[int]
    covered: Int[Tensor, "kind located"]

    def rows(self, spots: Spots) -> tuple[Int[Tensor, " row"], Int[Tensor, " begin"]]:
        """The rows of the table that are summed, spot by spot, and where sums begin."""
        found = spots.whole.flatten()[:, None] + self.index
        if self.last:
            found[:, self.last] = spots.last.flatten()[:, None] + self.index[self.last]
        if self.located:  # the first row of the table is 0
            found[:, self.located] *= self.covered[spots.kind.flatten()]
        spot = torch.arange(len(found), dtype=torch.int32, device=found.device)
        return found.flatten(), (spot[:, None] * len(self.index) + self.begins).flatten()


@frozen(eq=False)
class Deltas:
    """What copies write beyond their frozen values: some at every position, the others at the answer.

    `index` is where a copy lies in its view of the table; 0 says that it writes into no stream.
    """

    places: Places
    everywhere: list[bool]
    index: list[int]
    table: SummedRows
    spots: Spots
    kinds: list[int]  # which of the wiring's slots lie at a position of a kind
    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, wiring: Wiring, everywhere: list[bool], places: Places, like: Tensor) -> Deltas:
        index, counts = list[int](), [0, 0]
        for copy, wanted in zip(wiring.copies, everywhere, strict=True):
            counts[wanted] += not copy.component.traits.is_channel
            index.append(0 if copy.component.traits.is_channel else counts[wanted])
        read = [column for copy in wiring.copies for channel, column in copy.reads if channel in ("k", "v")]
        table = SummedRows.of(places, counts[True] + 1 if counts[True] or any(read) else 0, counts[False] + 1, like)
        # Positions at which the same named slots lie are of one kind: what is read is told for each kind.
        bits = torch.zeros(places.size, places.longest, dtype=torch.int64, device=like.device)
        for bit, slot in enumerate(wiring.slots):
            bits[places.at_answer[0], places.slots[slot]] += 1 << bit
        kinds, kind = bits.unique(return_inverse=True)
        return cls(places, everywhere, index, table, Spots.of(table, kind), kinds.tolist(), wiring.slots)

    def part(self, some: slice) -> Deltas:
        """Those of some elements, in the same table."""
        return evolve(self, places=self.places.part(some), table=self.table.part(some), spots=self.spots.at(some))

    def put(self, number: int, value: Tensor) -> None:
        if self.everywhere[number]:
            self.table.whole[:, :, self.index[number]] = value
        else:
            self.table.last[:, self.index[number]] = value

    def base(self, stream: Float[Tensor, "row t d"]) -> None:
        """The frozen stream that is read from now on."""
        self.table.last[:, 0] = stream[self.places.row, self.places.answer]
        if self.table.whole.numel():  # where only the answer needs streams, one gather suffices
            self.table.whole[:, :, 0] = stream[self.places.row]

    def streams(self, columns: Sequence[Column], changes: Sequence[Column] = ()) -> Float[Tensor, "b t stream d"]:
        """The stream that each of `columns` reads, at every position, and of `changes` without the frozen one."""
        return self.summed(self.sums(columns, changes))

    def answers(self, columns: Sequence[Column], changes: Sequence[Column] = ()) -> Float[Tensor, "b stream d"]:
        """The same where the answer is read."""
        return self._made(self.sums(columns, changes, everywhere=False), self.spots.at(self.places.at_answer))

    def summed(self, sums: Sums) -> Float[Tensor, "b t stream d"]:
        """Streams at every position, of which it is known what they are made of."""
        return self._made(sums, self.spots)

    def sums(self, columns: Sequence[Column], changes: Sequence[Column] = (), everywhere: bool = True) -> Sums:
        """What `streams` are made of, or `answers`."""
        index, begins, last, located = list[int](), list[int](), list[int](), dict[int, list[Where]]()
        for number, column in enumerate((*columns, *changes)):
            begins.append(len(index))
            if number < len(columns):
                last += [] if everywhere else [len(index)]
                index.append(0)  # the frozen stream
            # A copy that is read at several positions, which may be one, is one row.
            places = dict[int, list[Where]]()
            for copy, where in column:
                places.setdefault(copy, []).append(where)
            for copy in sorted(copy for copy in places if self.index[copy]):
                if not self.everywhere[copy]:
                    last.append(len(index))
                if None not in places[copy]:
                    located[len(index)] = places[copy]
                index.append(self.index[copy])
        covered = self._covered(list(located.values()))
        return Sums(self._numbers(index), self._numbers(begins), last, list(located), covered)

    def there(self, places: Sequence[Where]) -> Float[Tensor, "b t"]:
        """1 at the positions of some place."""
        return self._covered([places]).to(self.table.rows.dtype)[self.spots.kind, 0]

    def _made(self, sums: Sums, spots: Spots) -> Float[Tensor, "*p stream d"]:
        count, table = len(sums.begins), self.table.rows
        if not count:
            return table.new_empty(*spots.kind.shape, 0, table.shape[-1])
        rows, begins = sums.rows(spots)
        return F.embedding_bag(rows, table, begins, mode="sum").view(*spots.kind.shape, count, -1)

    def _numbers(self, listed: Sequence[object]) -> Int[Tensor, "*n"]:
        return torch.tensor(listed, dtype=torch.int32, device=self.spots.kind.device)

    def _covered(self, listed: Sequence[Sequence[Where]]) -> Int[Tensor, "kind n"]:
        """1 where positions of a kind are among some places."""
        return self._numbers([[any(self._covers(at, kind) for at in some) for some in listed] for kind in self.kinds])

    def _covers(self, where: Where, kind: int) -> bool:
        present = any(kind >> self.slots.index(slot) & 1 for slot in slots_of(where))
        return where is None or present != isinstance(where, Outside)
