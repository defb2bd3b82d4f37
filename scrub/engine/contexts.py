"""The contexts of steps, as the host plans by them and as the device computes with them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from attrs import frozen
from jaxtyping import Int
from torch import Tensor


@frozen(eq=False)
class Contexts:
    """Contexts of one step twice: what depends on them is decided by the host's, and nothing is read back."""

    host: Int[np.ndarray, "n column"]
    there: Int[Tensor, "n column"]

    def __len__(self) -> int:
        return len(self.host)

    @property
    def rows(self) -> Int[Tensor, " n"]:
        """The first column: rows, or the first of several."""
        return self.there[:, 0]

    def part(self, which: slice) -> Contexts:
        return Contexts(self.host[which], self.there[which])

    def split(self, size: int) -> Iterator[Contexts]:
        """At most so many at a time."""
        yield from (self.part(slice(start, start + size)) for start in range(0, max(len(self), 1), size))
