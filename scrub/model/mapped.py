"""Weights that lie in memory-mapped files: whatever was read of them is given back to the system.

What a process has looked at of a mapped file counts as its memory until it says that it needs it no more; the file is
read again where it does. Systems without `/proc` and `madvise` do this by themselves, when others need the room.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attrs import frozen
from torch import Tensor

_MAPS = Path("/proc/self/maps")


@frozen(eq=False)
class MappedTensors:
    """Tensors that view files, and where these are mapped. They are held, so that nothing else comes to lie there."""

    tensors: tuple[Tensor, ...]
    ranges: tuple[tuple[int, int], ...]  # first address and size

    @classmethod
    def of(cls, tensors: Iterable[Tensor], files: Iterable[Path]) -> MappedTensors:
        """Those that lie in these files; others are no business of ours."""
        places = list(_mapped({str(file.resolve()) for file in files}))
        held, ranges = list[Tensor](), set[tuple[int, int]]()
        for tensor in tensors:
            first, last = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
            for start, end in places:
                if start <= first and last <= end:
                    held.append(tensor.detach())
                    ranges.add((start, end - start))
        return cls(tuple(held), tuple(sorted(ranges)))

    def let_go(self) -> None:
        """Give back what was read. Nobody writes to the tensors, so that nothing is lost."""
        release = _madvise()
        if release is not None:
            for start, size in self.ranges:
                release(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.MADV_DONTNEED)


def _madvise() -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), "madvise", None) if hasattr(mmap, "MADV_DONTNEED") else None


def _mapped(files: set[str]) -> Iterator[tuple[int, int]]:
    """The addresses at which files are mapped, from the first on and up to the last."""
    for line in _MAPS.read_text().splitlines() if _MAPS.is_file() else ():
        where, *_, path = line.split(maxsplit=5)
        if path in files:
            start, end = (int(address, 16) for address in where.split("-"))
            yield start, end
