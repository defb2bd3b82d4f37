"""What copies write beyond their frozen values, and the streams that are made of it.

A stream at a position is a sum of rows of one table: of the frozen stream there, and of what each copy that is read
writes there beyond its frozen value.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.positions import Slot
from scrub.circuit.wiring import Column, Outside, Where, Wiring, slots_of

Row = tuple[bool, int, list[Where]]  # of a table: whether it is at every position, its index there, where it is read


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

    @property
    def at_answer(self) -> tuple[Tensor, Tensor]:
        return torch.arange(self.size, device=self.row.device), self.answer


@frozen(eq=False)
class Table:
    """Rows that are summed. The first is 0; `whole` and `last` are views of the others, each begins with the frozen
    stream: copies that are needed at every position, and those needed at the answer.

    What lies at a position lies together: all streams there are made of the same rows, which a cache holds.
    """

    rows: Float[Tensor, "row d"]
    whole: Float[Tensor, "b t copy d"]
    last: Float[Tensor, "b copy d"]

    @classmethod
    def of(cls, places: Places, whole: int, last: int, like: Tensor) -> Table:
        """For so many of each. It is not filled: a copy is read only when it was made."""
        b, t, d = places.size, places.longest, like.shape[-1]
        rows = like.new_empty(1 + b * t * whole + b * last, d)
        rows[0] = 0
        end = len(rows) - b * last
        return cls(rows, rows[1:end].view(b, t, whole, d), rows[end:].view(b, last, d))


@frozen(eq=False)
class Spots:
    """Positions at which streams are made: their kinds, and the rows of the table at which what is there begins."""

    kind: Int[Tensor, " p"]
    whole: Int[Tensor, " p"]
    last: Int[Tensor, " p"]

    @classmethod
    def of(cls, places: Places, table: Table, kind: Int[Tensor, "b t"]) -> Spots:
        """Every position of every element."""
        b, t, whole, _ = table.whole.shape
        number = torch.arange(b * t, device=kind.device, dtype=torch.int32)
        last = len(table.rows) + (torch.div(number, t, rounding_mode="floor") - b) * table.last.shape[1]
        return cls(kind.flatten(), 1 + number * whole, last)

    def answers(self, places: Places) -> Spots:
        at = places.at_answer[0] * places.longest + places.answer
        return Spots(self.kind[at], self.whole[at], self.last[at])


@frozen(eq=False)
class Deltas:
    """What copies write beyond their frozen values: some at every position, the others at the answer.

    `index` is where a copy lies in its view of the table; 0 says that it writes into no stream.
    """

    places: Places
    everywhere: list[bool]
    index: list[int]
    table: Table
    spots: Spots
    kind: Int[Tensor, "b t"]  # which of the wiring's slots lie at a position, as an index into `kinds`
    kinds: list[int]
    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, wiring: Wiring, everywhere: list[bool], places: Places, like: Tensor) -> Deltas:
        index, counts = list[int](), [0, 0]
        for copy, wanted in zip(wiring.copies, everywhere, strict=True):
            counts[wanted] += not copy.component.traits.is_channel
            index.append(0 if copy.component.traits.is_channel else counts[wanted])
        streams = counts[True] or any(
            c in ("k", "v") and column for copy in wiring.copies for c, column in copy.reads
        )
        table = Table.of(places, counts[True] + 1 if streams else 0, counts[False] + 1, like)
        # Positions at which the same named slots lie are of one kind: what is read is told for each kind.
        bits = torch.zeros(places.size, places.longest, dtype=torch.int64, device=like.device)
        for bit, slot in enumerate(wiring.slots):
            bits[places.at_answer[0], places.slots[slot]] += 1 << bit
        kinds, kind = bits.unique(return_inverse=True)
        spots = Spots.of(places, table, kind)
        return cls(places, everywhere, index, table, spots, kind, kinds.tolist(), wiring.slots)

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
        found = self._summed(self._rows(columns, [(True, 0, [None])]) + self._rows(changes), self.spots)
        return found.unflatten(0, (self.places.size, self.places.longest))

    def answers(self, columns: Sequence[Column], changes: Sequence[Column] = ()) -> Float[Tensor, "b stream d"]:
        """The same where the answer is read."""
        rows = self._rows(columns, [(False, 0, [None])]) + self._rows(changes)
        return self._summed(rows, self.spots.answers(self.places))

    def there(self, places: Sequence[Where]) -> Float[Tensor, "b t"]:
        """1 at the positions of some place."""
        return self._covered([places]).to(self.table.rows.dtype)[self.kind, 0]

    def _rows(self, columns: Sequence[Column], first: Sequence[Row] = ()) -> list[list[Row]]:
        """The rows that each column reads; a copy that it reads at several positions, which may be one, is one row."""
        found: list[list[Row]] = []
        for column in columns:
            places: dict[int, list[Where]] = {}
            for number, where in column:
                places.setdefault(number, []).append(where)
            rows = [(self.everywhere[n], self.index[n], places[n]) for n in sorted(places) if self.index[n]]
            found.append([*first, *rows])
        return found

    def _summed(self, rows: Sequence[Sequence[Row]], spots: Spots) -> Float[Tensor, "p stream d"]:
        """The sum of each list of rows, at every spot."""
        if not rows:
            return self.table.rows.new_empty(len(spots.kind), 0, self.table.rows.shape[-1])
        flat = [row for some in rows for row in some]
        index = spots.whole[:, None] + self._numbers([index for _, index, _ in flat])
        if last := [i for i, (whole, _, _) in enumerate(flat) if not whole]:
            index[:, last] = spots.last[:, None] + self._numbers([flat[i][1] for i in last])
        if located := [i for i, (_, _, places) in enumerate(flat) if None not in places]:
            index[:, located] *= self._covered([flat[i][2] for i in located])[spots.kind]
        begins = self._numbers([*accumulate(map(len, rows), initial=0)][:-1])
        first = torch.arange(len(spots.kind), dtype=torch.int32, device=begins.device)[:, None] * len(flat)
        found = F.embedding_bag(index.flatten(), self.table.rows, (first + begins).flatten(), mode="sum")
        return found.unflatten(0, (len(spots.kind), len(rows)))

    def _numbers(self, listed: Sequence[object]) -> Int[Tensor, "*n"]:
        return torch.tensor(listed, dtype=torch.int32, device=self.kind.device)

    def _covered(self, listed: Sequence[Sequence[Where]]) -> Int[Tensor, "kind n"]:
        """1 where positions of a kind are among some places."""
        return self._numbers([[any(self._covers(at, kind) for at in some) for some in listed] for kind in self.kinds])

    def _covers(self, where: Where, kind: int) -> bool:
        present = any(kind >> self.slots.index(slot) & 1 for slot in slots_of(where))
        return where is None or present != isinstance(where, Outside)
