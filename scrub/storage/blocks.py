"""Blocks on disk: a file each, named by all that its numbers depend on, written whole or not at all.

A process that is killed loses the block that it was computing. Processes that share a directory leave one another's
blocks for later: `begun` marks are hints alone, so that a mark left by a killed process costs nothing.
"""

from __future__ import annotations

import hashlib
import re
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from attrs import define, field, frozen
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from scrub.errors import ClaimError
from scrub.model.workers import ALONE, Task, Workers
from scrub.score.blocks import Arrays, NumberBlock, key
from scrub.storage import files
from scrub.storage.share import JobPart, PartKept

_LEFT = re.compile(r"\.[0-9a-f]+\.safetensors\.[0-9a-f]+")  # beside KEY.safetensors
WHOLE = "What was kept before is whole: the same command goes on from there."
STALE = 3600.0  # seconds after which what a killed process left is not being written any more


@define
class Blocks:
    """The blocks of one claim on one model: `depends` digests all that their numbers depend on but what is drawn.

    `computed` and `found` count blocks. Iterating raises ClaimError for a block that is damaged, unless `recompute`
    has it computed anew, and for one that cannot be written.
    """

    folder: Path
    depends: str
    recompute: bool = False
    made: set[Path] = field(factory=set[Path])  # by this process, whichever claim needed them first
    workers: Workers = ALONE
    part: JobPart | None = None
    computed: int = field(default=0, init=False)
    found: int = field(default=0, init=False)

    def __call__(self, blocks: Iterable[NumberBlock]) -> Iterator[tuple[int, Arrays]]:
        """What is stored already, or else computed; blocks that another process has begun come last.

        Raises PartKept where the blocks of other parts are not there.
        """
        met = _Met()
        try:
            for unfinished in (self._missing(blocks, met), self._left(met)):
                for number, arrays in self._computed(unfinished):
                    yield from met.taken()
                    yield number, arrays
                yield from met.taken()
        finally:
            for path in met.begun:
                _mark(path).unlink(missing_ok=True)
        if met.of_others:
            raise PartKept(
                f"part {self.part} is kept; {met.of_others} blocks are those of other parts: put all together with "
                "`scrub merge`, and the same command goes on."
            )

    def _missing(self, blocks: Iterable[NumberBlock], met: _Met) -> Iterator[_Missing]:
        """What this process is to compute."""
        for number, block in enumerate(blocks):
            one = _Missing(number, self._path(block), self._path(block.last or block), block.task)
            if (arrays := self._read(one.path)) is not None:
                met.found.append((number, arrays))
            elif self.part is not None and not self.part.has(number if block.turn is None else block.turn):
                met.of_others += 1
            elif one.begun in met.begun or _begin(one.begun):
                met.begun.add(one.begun)
                yield one
            else:
                met.later.append(one)

    def _left(self, met: _Met) -> Iterator[_Missing]:
        """What another process had begun, and has not kept."""
        for one in met.later:
            if (arrays := self._read(one.path)) is None:
                yield one
            else:
                met.found.append((one.number, arrays))

    def _computed(self, missing: Iterable[_Missing]) -> Iterator[tuple[int, Arrays]]:
        """Blocks computed by the workers, and kept as they come."""
        begun = deque[_Missing]()

        def tasks() -> Iterator[Task]:
            for one in missing:
                begun.append(one)
                yield one.task

        try:
            for arrays in self.workers.each(tasks()):
                self._keep(begun[0].path, arrays)
                yield begun.popleft().number, arrays
        except ClaimError as error:
            raise ClaimError(f"{error} {WHOLE}" if begun else str(error)) from None

    def _path(self, block: NumberBlock) -> Path:
        return self.folder / f"{key(self.depends, block.key)}.safetensors"

    def _read(self, path: Path) -> Arrays | None:
        if not path.exists():
            return None
        try:
            arrays, words = read_arrays(path)
            if words.get("block") != path.stem:
                raise ClaimError(f"{path} is damaged: it holds another block.")
        except ClaimError as error:
            if self.recompute:
                return None
            raise ClaimError(f"{error} Run again with --recompute to compute it anew.") from None
        self.found += path not in self.made
        return arrays

    def _keep(self, path: Path, arrays: Arrays) -> None:
        write_arrays(path, arrays, {"block": path.stem})
        _mark(path).unlink(missing_ok=True)
        self.computed += 1
        self.made.add(path)


@frozen(eq=False)
class _Missing:
    """A block that is not there yet: its place, the place of the one that is marked as begun, what computes it."""

    number: int
    path: Path
    begun: Path
    task: Task


@define
class _Met:
    """What blocks were met on the way: stored ones, and those of others, which come later or not at all.

    `begun` are marked by this process; of blocks that are computed in one go the last is.
    """

    found: deque[tuple[int, Arrays]] = field(factory=deque[tuple[int, Arrays]])
    later: list[_Missing] = field(factory=list[_Missing])
    begun: set[Path] = field(factory=set[Path])
    of_others: int = 0

    def taken(self) -> Iterator[tuple[int, Arrays]]:
        while self.found:
            yield self.found.popleft()


def sweep(folder: Path) -> None:
    """Take away what killed processes left beside blocks."""
    for left in folder.glob(".*"):
        try:
            if _LEFT.fullmatch(left.name) and time.time() - left.stat().st_mtime > STALE:
                left.unlink()
        except OSError:  # another process took it away, or it is not ours
            continue


def _mark(path: Path) -> Path:
    return path.with_suffix(".begun")


def _begin(path: Path) -> bool:
    """Whether no other process has begun this block."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _mark(path).touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise files.refused(path, error) from None
    return True


def write_arrays(path: Path, arrays: Arrays, words: dict[str, str]) -> None:
    """Arrays and words in one file, with a digest of both. Raises ClaimError when it cannot be written."""
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}  # strided ones are stored wrong
    files.write_bytes(path, save(whole, {**words, "digest": _digest(whole, words)}), follow=False)


def read_arrays(path: Path) -> tuple[Arrays, dict[str, str]]:
    """What `write_arrays` wrote. Raises ClaimError for a file that is damaged."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ClaimError(f"{path} is damaged: it is no regular file.")
        with safe_open(path, "numpy") as file:  # pyright: ignore[reportUnknownVariableType, reportArgumentType]
            words: dict[str, str] = file.metadata() or {}
            arrays: Arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ClaimError(f"{path} is damaged: {error}.") from None
    digest = words.pop("digest", None)
    if digest != _digest(arrays, words):
        raise ClaimError(f"{path} is damaged: its content does not match its digest.")
    return arrays, words


def _digest(arrays: Arrays, words: dict[str, str]) -> str:
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        state.update(f"{name} {arrays[name].dtype} {arrays[name].shape}|".encode())
        state.update(arrays[name].tobytes())
    for name in sorted(words):
        state.update(f"|{name}|{words[name]}".encode())
    return state.hexdigest()
