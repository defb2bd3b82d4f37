"""An array where it lies in a file: the numbers that are asked for are read, and no others.

Mapping the file instead would bring in pages around every number: of twenty columns of a wide encoder, all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

NEAR = 1024  # bytes from one number to the next up to which one call reads both: it costs more than they do
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
        *outer, inner = lying or [np.zeros(1, np.int64)]
        wide, size = _widened(inner, self.dtype.itemsize), self.dtype.itemsize
        with self.file.open("rb") as stream:
            if len(wide) == len(inner):
                self._read(stream.fileno(), found.reshape(-1), _runs(lying, size))
            else:
                self._picked(stream.fileno(), found.reshape(-1, len(inner)), _sums(outer), (wide, inner))
        return found.transpose(np.argsort(order))

    def _picked(
        self, number: int, into: np.ndarray[Any, Any], bases: list[int], wide_inner: tuple[Indices, Indices]
    ) -> None:
        """Rows that begin at some bytes, of each its inner numbers, of what is read of it."""
        wide, inner = wide_inner
        at, row = np.searchsorted(wide, inner), np.empty(len(wide), self.dtype)
        runs = list(_runs([wide], self.dtype.itemsize))
        pieces = list(zip(runs, np.cumsum([0, *(length for _, length in runs)]).tolist(), strict=False))
        whole = row.view(np.uint8).data
        parts = [(begin, whole[there : there + length]) for (begin, length), there in pieces]
        for found, base in zip(into, bases, strict=True):
            for begin, part in parts:
                self._fill(number, part, base + begin)
            found[:] = row[at]

    def _read(self, number: int, into: np.ndarray[Any, Any], runs: Iterable[tuple[int, int]]) -> None:
        left, there = into.view(np.uint8).data, 0
        for begin, length in runs:
            self._fill(number, left[there : there + length], begin)
            there += length

    def _fill(self, number: int, into: memoryview, begin: int) -> None:
        done = os.preadv(number, [into], self.offset + begin)
        while done < len(into):  # a call reads 2 GB at most
            if not (read := os.preadv(number, [into[done:]], self.offset + begin + done)):
                raise OSError(f"{self.file} ends before its numbers do")
            done += read


def _widened(inner: Indices, size: int) -> Indices:
    """Offsets with those of small gaps between them, which are read faster than left out; as they are in no order."""
    gaps = np.diff(inner)
    if (gaps <= 0).any() or (gaps % size).any() or not ((gaps > size) & (gaps <= NEAR)).any():
        return inner
    ends = np.flatnonzero(gaps > NEAR)
    begins, lasts = inner[np.append(0, ends + 1)], inner[np.append(ends, -1)]
    return np.concatenate([np.arange(b, e + 1, size) for b, e in zip(begins, lasts, strict=True)])


@frozen(eq=False)
class HeldArray:
    """One of which the numbers at some `units` of an axis, in their order, are in memory; others are read."""

    lies: FileArray
    axis: int
    units: Indices
    numbers: np.ndarray[Any, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lies.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.lies.dtype

    @property
    def T(self) -> HeldArray:
        return evolve(self, lies=self.lies.T, axis=len(self.shape) - 1 - self.axis, numbers=self.numbers.T)

    def __getitem__(self, take: Sequence[int | list[int] | slice]) -> np.ndarray[Any, Any]:
        given = [*take, *[slice(None)] * (len(self.shape) - len(take))]
        asked = np.atleast_1d(np.arange(self.shape[self.axis])[given[self.axis]])
        at = np.minimum(np.searchsorted(self.units, asked), len(self.units) - 1)
        if (self.units[at] != asked).any() or any(isinstance(one, int) for one in given):
            return self.lies[take]
        for axis, one in enumerate(given):
            given[axis] = at.tolist() if axis == self.axis else np.arange(self.shape[axis])[one].tolist()
        return self.numbers[np.ix_(*given)]


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
