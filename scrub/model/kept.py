"""Where whole passes of rows may be kept: what was run once is read again, by whoever asks for the same rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

Array = tuple[str, int]  # as a pass names it: what it is, and its layer
Tokens = tuple[int, ...]


class KeptRows(Protocol):
    """Arrays of rows over all their positions, `[row t ...]`, of one model or of several.

    What is kept is what a pass would compute, to rounding: rows are told by their tokens, models (a `Transformer`
    each) by all that they are.
    """

    def known(self, model: Any, rows: Sequence[Tokens], arrays: Collection[Array]) -> list[bool]:
        """Of which rows all these arrays are kept."""
        ...

    def read(self, model: Any, rows: Sequence[Tokens], array: Array) -> Tensor:
        """An array of rows that are known, as long as the longest; past the end of a row it has no meaning."""
        ...

    def keep(self, model: Any, rows: Sequence[Tokens], found: Mapping[Array, Tensor]) -> None:
        """Keeps arrays of rows, or does not: where it fails nothing else does."""
        ...
