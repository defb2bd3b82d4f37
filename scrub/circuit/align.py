"""Which position of another row stands for a position of this one: the one of the same name, else the same index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.anatomy.positions import Slot
from scrub.circuit.ablations import said
from scrub.claims.dataset import Dataset
from scrub.claims.wording import PAIR
from scrub.errors import DataError, nearest, some


@frozen(eq=False)
class Alignment:
    """`slots` are the names that align, in order of precedence; `named[row, t]` is the first one at t, or -1."""

    data: Dataset
    slots: tuple[Slot, ...]
    named: Int[np.ndarray, "row t"]

    @classmethod
    def of(cls, data: Dataset, slots: Sequence[Slot]) -> Alignment:
        """The positions of a circuit come first, then those that every row of the data names."""
        names = [Slot(name) for name in sorted(data.position_names)]
        everywhere = [slot for slot in names if slot not in slots and (data.locate(slot) >= 0).all()]
        order = (*slots, *everywhere)
        named = np.full((len(data), int(data.lengths.max())), -1, dtype=np.int64)
        rows = np.arange(len(data))
        for number in reversed(range(len(order))):
            index = data.locate(order[number])
            named[rows[index >= 0], index[index >= 0]] = number
        return cls(data, order, named)

    def indices(
        self, rows: Int[np.ndarray, " n"], donors: Int[np.ndarray, " n"], ablation: str
    ) -> Int[np.ndarray, "n t"]:
        """For every position of each row the index in its donor; padding is aligned with itself.

        Raises DataError for positions that a donor does not have, naming a column that would mend it.
        """
        longest = int(self.data.lengths[rows].max())
        found = np.tile(np.arange(longest), (len(rows), 1))
        for number, slot in enumerate(self.slots):
            here = self.named[rows, :longest] == number
            found = np.where(here, self.data.locate(slot)[donors][:, None], found)
        lacking = (found >= self.data.lengths[donors][:, None]) | (found < 0)
        lacking &= np.arange(longest) < self.data.lengths[rows][:, None]
        if lacking.any():
            short = np.unique(rows[lacking.any(1)])
            raise DataError(self._unlike(short, ablation))
        return np.where(np.arange(longest) < self.data.lengths[rows][:, None], found, 0)

    def _unlike(self, short: Int[np.ndarray, " n"], ablation: str) -> str:
        if said(ablation).rows == PAIR:
            fix = "Pair rows of equal length."
        else:
            columns = [name for name in self.data.columns if _one_length(self.data, name)]
            near = nearest("length", columns) or (columns[0] if columns else None)
            fix = "Take reference rows of equal length" + (
                f": group={near!r} does." if near else " with group='column'."
            )
        found = f"{len(short)} rows have positions that their donors lack: {some(short.tolist())}"
        return f"ablation {ablation!r} needs every position of a row in its donor; {found}. {fix}"


def _one_length(data: Dataset, column: str) -> bool:
    """Whether rows that agree on a column, and that several share, have one length."""
    lengths: dict[object, set[int]] = {}
    for row in data.rows:
        lengths.setdefault(row.columns.get(column), set()).add(len(row.tokens))
    return len(lengths) < len(data) / 2 and all(len(found) == 1 for found in lengths.values())
