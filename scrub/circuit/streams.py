"""What copies write beyond their frozen values, and the streams that are made of it.

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
from scrub.circuit.wiring import Column, Outside, Where, Wiring, slots_of

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
    It comes before the positions: what a copy writes on a row lies together, and so does a stream of it.
    """

    places: Places
    everywhere: list[bool]
    whole: Float[Tensor, "b copy t d"]
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
        # A product over copies meets some that are not made yet, times 0: what lies there must be a number.
        whole = like.new_zeros(size[0], count + 1 if anywhere else 0, size[1], like.shape[-1])
        last = like.new_zeros(places.size, len(everywhere) - count, like.shape[-1])
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
            self.whole[:, self.index[number]] = value
        else:
            self.last[:, self.index[number]] = value

    def base(self, stream: Float[Tensor, "row t d"]) -> None:
        """The frozen stream that is read from now on."""
        self.now["stream"] = stream
        if self.copied:
            self.whole[:, 0] = stream[self.places.row]

    @property
    def copied(self) -> bool:
        """Whether streams are made at every position; where only the answer needs them, one gather suffices."""
        return self.whole.shape[1] > 0

    def _weights(
        self, columns: Sequence[Column], wanted: bool, based: bool = True
    ) -> Float[Tensor, "kind column copy"]:
        """1 where a column reads a copy at positions of a kind, and the frozen stream where it is `based` on it."""
        first = 1 if wanted else 0
        read = [self.index[n] for column in columns for n, _ in column if self.everywhere[n] == wanted]
        found = np.zeros((len(self.kinds), len(columns), max(read, default=first - 1) + 1))
        found[:, :, :first] = float(based)
        for row, column in enumerate(columns):
            read = [(self.index[n], where) for n, where in column if self.everywhere[n] == wanted]
            found[:, row, [number for number, where in read if where is None]] = 1
            for number, where in read:
                if where is not None:  # a copy may be read at several positions
                    found[[self._covers(where, kind) for kind in self.kinds], row, number] = 1
        return torch.from_numpy(found).to(self.whole.device, self.whole.dtype)

    def _covers(self, where: Where, kind: int) -> bool:
        present = any(kind >> self.slots.index(slot) & 1 for slot in slots_of(where))
        return where is None or present != isinstance(where, Outside)

    def streams(self, columns: Sequence[Column], based: bool = True) -> Float[Tensor, "b column t d"]:
        """The stream that each column reads, at every position; without the frozen one where not `based` on it."""
        entries = sum(self.everywhere[number] for column in columns for number, _ in column)
        if entries * FEW < len(columns) * self.whole.shape[1]:
            return torch.stack([self.summed(column, based) for column in columns], 1)
        found = self._product(self._weights(columns, True, based))
        if any(not self.everywhere[n] for column in columns for n, _ in column):
            batch = torch.arange(self.places.size, device=found.device)
            # Copies that are needed at the answer alone are added there: at every position they would be as large as
            # `whole`.
            found[batch, :, self.places.answer] += self._at_answer(columns, False)
        return found

    def _product(self, weight: Float[Tensor, "kind column copy"]) -> Float[Tensor, "b column t d"]:
        """Sums of copies with the weights that positions have by their kind: a product for each kind."""
        known = self.whole[:, : weight.shape[-1]]
        if len(weight) == 1:
            return (weight[0] @ known.flatten(2)).unflatten(2, known.shape[2:])
        found = known.new_empty(len(known), weight.shape[1], *known.shape[2:])
        for number, own in enumerate(weight):
            batch, t = (self.kind == number).nonzero(as_tuple=True)
            found[batch, :, t] = own @ known[batch, :, t]
        return found

    def summed(self, column: Column, based: bool = True) -> Float[Tensor, "b t d"]:
        """The same of a column that reads few of the copies: these are added one by one."""
        found = self.whole[:, 0].clone() if based else torch.zeros_like(self.whole[:, 0])
        batch, answer = torch.arange(self.places.size, device=found.device), self.places.answer
        places: dict[int, list[Where]] = {}
        for number, where in column:  # a copy may be read at several positions, and they may be one
            places.setdefault(number, []).append(where)
        for number, listed in places.items():
            there = None if None in listed else self.there(listed)[..., None]
            if self.everywhere[number]:
                value = self.whole[:, self.index[number]]
                found += value if there is None else value * there
            else:
                value = self.last[:, self.index[number]]
                found[batch, answer] += value if there is None else value * there[batch, answer]
        return found

    def there(self, places: Sequence[Where]) -> Float[Tensor, "b t"]:
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
        known = self.whole[batch, :width, answer] if wanted else self.last[:, :width]
        return weight[self.kind[batch, answer]] @ known
