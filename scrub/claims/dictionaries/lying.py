"""An array where it lies in a file: the numbers that are asked for are read, and no others.

Mapping the file instead would bring in pages around every number: of twenty columns of a wide encoder, all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

Indices = np.ndarray[Any, np.dtype[np.int64]]


@frozen(eq=False)
class FileArray:
    """An array in a file: where it begins, its shape and its strides, both in bytes."""

    file: Path
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, file: Path, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...], order: str = "C") -> FileArray:
        """One that lies in the order of C, or of Fortran. Raises ValueError where the file is too short for it."""
        if not all(type(n) is int and n >= 0 for n in (offset, *shape)):
            raise ValueError(f"an array of the shape {list(shape)} at byte {offset}")
        end, size = offset + prod(shape) * dtype.itemsize, file.stat().st_size
        if end > size:
            raise ValueError(f"an array ends at byte {end}, and the file has {size}")
        near = shape[::-1] if order == "C" else shape
        steps = [dtype.itemsize * prod(near[:axis]) for axis in range(len(shape))]
        return cls(file, dtype, offset, shape, tuple(steps[::-1] if order == "C" else steps))

    @property
    def T(self) -> FileArray:
        return evolve(self, shape=self.shape[::-1], strides=self.strides[::-1])

    def __getitem__(self, take: Sequence[int | list[int] | slice]) -> np.ndarray[Any, Any]:
        """Its numbers at some indices of each axis, crosswise; the axes that are not said are whole."""
        given = [*take, *[slice(None)] * (len(self.shape) - len(take))]
        at = [np.atleast_1d(np.arange(n)[one]) for one, n in zip(given, self.shape, strict=True)]
        found = self._crosswise(at)
        return found.reshape([len(i) for i, one in zip(at, given, strict=True) if not isinstance(one, int)])

    def _crosswise(self, at: list[Indices]) -> np.ndarray[Any, Any]:
        """Axes are read in the order in which they lie, and turned back."""
        order = sorted(range(len(at)), key=lambda axis: -self.strides[axis])
        found = np.empty([len(at[axis]) for axis in order], self.dtype)
        lying = [self.strides[axis] * at[axis] for axis in order]
        if not found.size:
            return found.transpose(np.argsort(order))
        with self.file.open("rb") as stream:
            self._read(stream.fileno(), found.reshape(-1).view(np.uint8), lying)
        return found.transpose(np.argsort(order))

    def _read(self, number: int, into: np.ndarray[Any, Any], lying: list[Indices]) -> None:
        left = into.data
        for begin, length in _runs(lying, self.dtype.itemsize):
            done = 0
            while done < length:  # a call reads 2 GB at most
                if not (read := os.preadv(number, [left[: length - done]], self.offset + begin + done)):
                    raise OSError(f"{self.file} ends before its numbers do")
                done, left = done + read, left[read:]


def _runs(lying: list[Indices], size: int) -> Iterator[tuple[int, int]]:
    """Begin and length, in bytes, of what lies together, of offsets along every axis, the last the nearest."""
    *outer, inner = lying or [np.zeros(1, np.int64)]
    ends = np.flatnonzero(np.diff(inner) != size)
    begins, lasts = inner[np.append(0, ends + 1)], inner[np.append(ends, -1)]
    pieces = list(zip(begins.tolist(), (lasts - begins + size).tolist(), strict=True))
    if len(pieces) == 1 and outer:  # whole rows that may lie one behind the other
        yield from ((b + pieces[0][0], n) for b, n in _runs(outer, pieces[0][1]))
        return
    for base in _sums(outer):
        yield from ((base + begin, length) for begin, length in pieces)


def _sums(lying: list[Indices]) -> list[int]:
    total = np.zeros(1, np.int64)
    for offsets in lying:
        total = (total[:, None] + offsets).ravel()
    return total.tolist()
