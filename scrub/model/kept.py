"""Where passes of slices of rows may be kept: what was run once is read again, by whoever asks for the same slice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

Array = tuple[str, int]  # as a pass names it: what it is, and its layer
Tokens = tuple[int, ...]


class KeptRows(Protocol):
    """Arrays of a slice of rows over all their positions, `[row t ...]`, of one model or of several.

    A slice is rows that are run together, in their order, as long as the longest of them. What is kept of it is what
    a pass over it computes, bit for bit: a row that is run among others is rounded otherwise, and belongs to another
    slice, so that no number depends on what was kept before. Rows are told by their tokens, models (a `Transformer`
    each) by all that they are.
    """

    def known(self, model: Any, rows: Sequence[Tokens], arrays: Collection[Array]) -> bool:
        """Whether all these arrays of a slice are kept."""
        ...

    def read(self, model: Any, rows: Sequence[Tokens], array: Array) -> Tensor:
        """An array of a slice that is known; past the end of a row it has no meaning."""
        ...

    def keep(self, model: Any, rows: Sequence[Tokens], found: Mapping[Array, Tensor]) -> None:
        """Keeps arrays of a slice, or does not: where it fails nothing else does."""
        ...
