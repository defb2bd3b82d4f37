"""Whole numbers of the host on a model's device, without the host's waiting for it.

A copy from ordinary memory has the host wait until the device has done all that it was asked before; a copy from
pinned memory does not. Lists as indices are such copies, each time: here a list is copied once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


def uploaded(tables: Sequence[Int[np.ndarray, ...]], device: torch.device) -> list[Int[Tensor, ...]]:
    """Arrays of whole numbers, all in one copy; on a CPU they are the same memory."""
    if device.type == "cpu":
        return [torch.from_numpy(table) for table in tables]
    flat = torch.from_numpy(np.concatenate([table.ravel() for table in tables]))
    there = flat.pin_memory().to(device, non_blocking=True).split([table.size for table in tables])
    return [part.view(table.shape) for part, table in zip(there, tables, strict=True)]


def some(x: Float[Tensor, ...], units: Sequence[int], axis: int) -> Float[Tensor, ...]:
    """What an array holds of some units of an axis: a view where they stand side by side, else a copy."""
    first, count = (units[0], len(units)) if units else (0, 0)
    if list(units) == list(range(first, first + count)):
        return x.narrow(axis, first, count)
    return x.index_select(axis, _index(tuple(units), x.device))


# Kept by the numbers and the device, which are all that it is. Every circuit's wiring has lists of its own: those
# that were used last stay.
@lru_cache(maxsize=1024)
def _index(units: tuple[int, ...], device: torch.device) -> Int[Tensor, " unit"]:
    return torch.tensor(units, device=device)
