"""Passes of rows on disk, for every later claim, rival, sweep and process: what was run once is read again.

    DIR/MODEL/SLICE-ARRAYS.safetensors    arrays of a few rows that were run together, over all positions

MODEL digests all that a pass depends on but its tokens: the weights and what is fixed about them, the dtype, the
kind of device, the code of scrub and the version of torch. SLICE digests the tokens of its rows, in their order: the
same rows in other company are another slice, whose numbers are rounded otherwise. A slice is written whole or
not at all. Its arrays carry sums, and its words a digest of them and of its place, which are looked at as they are
read: what is damaged, or lies in another's place, counts as not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from attrs import define, evolve, field, frozen
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from scrub.errors import ClaimError
from scrub.model.digest import digest_as_it_is
from scrub.model.kept import Array, Tokens
from scrub.model.memory import Memory
from scrub.model.weights import Transformer
from scrub.model.workers import ALONE
from scrub.storage import files
from scrub.storage.blocks import sweep
from scrub.storage.identity import identity, of_scrub

ROWS = "rows"  # below a run
LARGEST = 10 * 2**30  # bytes of a directory, beyond which what was read longest ago is taken away
LOOKS = 16  # times that it is looked at how many bytes there are, while as many as the bound are written
ANY = Memory(0)  # in the place of every bound

# Kept by the model, as long as it lives: its weights are what they are.
_models: WeakKeyDictionary[Transformer, str] = WeakKeyDictionary()


def model_key(model: Transformer) -> str:
    """A digest of all that a pass depends on but its tokens."""
    return identity(of_scrub(), torch.__version__, weights_key(model), model.device.type)


def weights_key(model: Transformer) -> str:
    """A digest of a model's weights, bit by bit, and of all that is fixed about them, wherever it came from.

    It is computed where numbers are kept, and nowhere else: of GPT-2 in half a second, once in a process. A layer
    that is taken from files is read for it once, as long as its directory stays open.
    """
    if model not in _models:
        same = evolve(
            model, name="", revision="", notes=(), memory=ANY, passes=None, workers=ALONE, lending=None, checked=""
        )
        told, fixed = digest_as_it_is(same)
        _models[model] = identity(told, str(fixed.precision), fixed)
    return _models[model]


@frozen
class Slice:
    """A file of rows: the sums of its arrays by their names, and what else is the `same` as one of them."""

    path: Path
    rows: tuple[str, ...]
    sums: dict[str, int]
    same: dict[str, str]


@define
class RowFiles:
    """A directory of passes, below `most` bytes. One that cannot be written is said once, and done without."""

    folder: Path
    most: int = LARGEST
    writing: bool = True
    written: int | None = None  # bytes since it was last looked at how many there are
    opened: dict[tuple[str, Array], list[Tensor]] = field(factory=dict)  # kept by place and array, until it is read

    def known(self, model: Transformer, rows: Sequence[Tokens], arrays: Collection[Array]) -> bool:
        place, found = self._place(model, rows), dict[Array, Tensor]()
        there = [*_slices(self.folder, f"{place}-*")]
        for array in arrays:
            value = next((v for one in there if (v := _array(one, _name(array))) is not None), None)
            if value is None:
                return False
            found[array] = value
        for array, value in found.items():
            self.opened.setdefault((place, array), []).append(value)
        return True

    def read(self, model: Transformer, rows: Sequence[Tokens], array: Array) -> Tensor:
        return self.opened[self._place(model, rows), array].pop().to(model.device)

    def _place(self, model: Transformer, rows: Sequence[Tokens]) -> str:
        return f"{model_key(model)}/{slice_key(rows)}"

    def keep(self, model: Transformer, rows: Sequence[Tokens], found: Mapping[Array, Tensor]) -> None:
        if not self.writing:
            return
        try:
            self._write(self._place(model, rows), rows, found)
            if self.written is None or self.written > self.most // LOOKS:
                shrink(self.folder, self.most)
                self.written = 0
        except (ClaimError, OSError) as error:
            self.writing = False
            said = str(error.strerror if isinstance(error, OSError) else error).rstrip(".")
            warnings.warn(f"rows are not kept for later claims: {said}. All else goes on.", stacklevel=2)

    def _write(self, place: str, rows: Sequence[Tokens], found: Mapping[Array, Tensor]) -> None:
        same = _same(found)
        arrays = {_name(a): v.detach().cpu().contiguous() for a, v in found.items() if _name(a) not in same}
        sums = {name: _sum(value) for name, value in arrays.items()}
        path = self.folder / f"{place}-{_digest(sorted(map(_name, found)))}.safetensors"
        words = {"rows": json.dumps([*map(_digest, rows)]), "sums": json.dumps(sums), "same": json.dumps(same)}
        content = save(arrays, {**words, "digest": _told(path, words)})
        files.write_bytes(path, content, follow=False)
        self.written = None if self.written is None else self.written + len(content)


def slice_key(rows: Sequence[Tokens]) -> str:
    """A digest of rows that are run together, in their order."""
    return _digest([*map(list, rows)])


def _digest(listed: Sequence[object]) -> str:
    return hashlib.blake2b(json.dumps(listed).encode(), digest_size=12).hexdigest()


def _name(array: Array) -> str:
    return f"{array[0]}.{array[1]}"


def _told(path: Path, words: Mapping[str, str]) -> str:
    """A digest of a file's words and of its place, which are the model and the rows."""
    return _digest([path.parent.name, path.stem, *sorted(words.items())])


def _same(found: Mapping[Array, Tensor]) -> dict[str, str]:
    """Which arrays are another one under a second name: queries where nothing turns them, for one."""
    first: dict[object, str] = {}
    names = {
        _name(array): first.setdefault((v.data_ptr(), v.shape, v.stride()), _name(array))
        for array, v in found.items()
    }
    return {name: other for name, other in names.items() if name != other}


def _sum(value: Tensor) -> int:
    told = f"{value.dtype}{tuple(value.shape)}".encode()
    return zlib.crc32(value.reshape(-1).view(torch.uint8).numpy().data, zlib.crc32(told))


def _slices(folder: Path, named: str = "*") -> Iterator[Slice]:
    """What is there and whole, as far as its head says."""
    for path in sorted(folder.glob(f"{named}.safetensors")):
        try:
            with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType, reportArgumentType]
                words: dict[str, Any] = file.metadata() or {}
                if words.pop("digest") != _told(path, words):
                    continue
                rows, sums, same = (json.loads(words[part]) for part in ("rows", "sums", "same"))
                yield Slice(path, tuple(rows), {name: int(sums[name]) for name in file.keys()}, dict(same))  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError):
            continue


def _array(found: Slice, name: str) -> Tensor | None:
    """An array of a slice, mapped from its file; None where it is not, is damaged or gone."""
    name = found.same.get(name, name)
    if name not in found.sums:
        return None
    try:
        with safe_open(found.path, "pt") as file:  # pyright: ignore[reportUnknownVariableType, reportArgumentType]
            value: Tensor = file.get_tensor(name)
        if len(value) != len(found.rows) or _sum(value) != found.sums[name]:
            return None
        os.utime(found.path)  # read now: the last to be taken away
        return value
    except (SafetensorError, OSError, ValueError, RuntimeError):
        return None


@frozen
class KeptModel:
    """What is kept of one model: its rows, how many bytes, and when it was read or written last (seconds)."""

    model: str
    rows: int
    bytes: int
    last: float


def stored(folder: Path) -> list[KeptModel]:
    """What a directory holds, the last that was used first."""
    found = [_stored(each) for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
    return sorted(found, key=lambda one: -one.last)


def _stored(folder: Path) -> KeptModel:
    slices = list(_slices(folder))
    sizes = [each.path.stat() for each in slices]
    rows = {row for each in slices for row in each.rows}
    return KeptModel(
        folder.name, len(rows), sum(s.st_size for s in sizes), max((s.st_mtime for s in sizes), default=0.0)
    )


def shrink(folder: Path, most: int) -> None:
    """Takes away the slices that were read longest ago, until no more than so many bytes are left."""
    found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob("*/*.safetensors"))
    left = sum(size for _, size, _ in found)
    for _, size, path in found:
        if left <= most:
            return
        path.unlink(missing_ok=True)
        left -= size


def clear_rows(folder: Path) -> None:
    """Takes away all passes of a directory, and nothing else that is there."""
    for each in (folder / one.model for one in stored(folder)):
        sweep(each)
        for path in each.glob("*.safetensors"):
            path.unlink(missing_ok=True)
        if not any(each.iterdir()):
            shutil.rmtree(each, ignore_errors=True)
