"""Arrays in files: shapes are known at once, and only numbers that are asked for are read.

Three containers: `.safetensors`, numpy's `.npz`, and what `torch.save` writes, read here without torch. Nothing is
unpickled but names of tensors, their shapes and their offsets: anything else in a file is refused by its name.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

from scrub.claims.dictionaries.lying import FileArray, HeldArray
from scrub.errors import ClaimError, some

_BF16 = "bfloat16"
_SAFE = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": _BF16, "I64": "<i8", "I32": "<i4", "BOOL": "?"}
_TORCH = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": _BF16,
    "LongStorage": "<i8", "IntStorage": "<i4", "BoolStorage": "?",
}  # fmt: skip


@frozen(eq=False)
class StoredArray:
    """An array that lies in a file. Numbers of bfloat16 lie as the upper halves of floats."""

    lies: np.ndarray[Any, Any] | FileArray | HeldArray
    is_bfloat: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lies.shape

    @property
    def turned(self) -> StoredArray:
        return evolve(self, lies=self.lies.T)

    def held(self, axis: int, units: list[int] | None) -> StoredArray:
        """The same with its numbers at some indices of an axis in memory; all of them where none are said."""
        if not isinstance(self.lies, FileArray):
            return self
        at = slice(None) if units is None else units
        numbers = self.lies[(slice(None),) * axis + (at,)]
        if units is None:
            return evolve(self, lies=numbers)
        return evolve(self, lies=HeldArray(self.lies, axis, np.array(units), numbers))

    def read(self, *take: Any) -> np.ndarray[Any, Any]:
        """Some of its numbers, or all, as floats: single ones unless they lie as double ones."""
        found = np.array(self.lies[take])
        if self.is_bfloat:
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found if found.dtype == np.float64 else found.astype(np.float32)


Arrays = Mapping[str, StoredArray]


def arrays_of(file: Path) -> Arrays:
    """The arrays of a file by name. Raises ClaimError for what is none of the three, and for pickled code."""
    read = {".safetensors": _safetensors, ".npz": _npz, ".pt": _torch}[file.suffix]
    try:
        return read(file)
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ClaimError(f"{file}: no {file.suffix} file that can be read: {error}.") from None
    except pickle.UnpicklingError as error:
        raise ClaimError(f"{file}: {error}") from None


def _lying(file: Path, kind: str, shape: tuple[int, ...], offset: int, order: str = "C") -> StoredArray:
    dtype = np.dtype("<u2" if kind == _BF16 else kind)
    if not all(shape):
        return StoredArray(np.zeros(shape, dtype), kind == _BF16)
    return StoredArray(FileArray.of(file, dtype, offset, shape, order), kind == _BF16)


def _safetensors(file: Path) -> Arrays:
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > file.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(stream.read(size))
    header.pop("__metadata__", None)
    return {
        name: _lying(file, _SAFE[found["dtype"]], tuple(found["shape"]), 8 + size + found["data_offsets"][0])
        for name, found in header.items()
    }


def _offset(file: Path, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member lie that is stored as it is."""
    with file.open("rb") as stream:
        stream.seek(member.header_offset + 26)
        names = np.frombuffer(stream.read(4), "<u2")
    return member.header_offset + 30 + int(names.sum())


def _npz(file: Path) -> Arrays:
    with zipfile.ZipFile(file) as members:
        return {m.filename.removesuffix(".npy"): _npy(file, members, m) for m in members.infolist()}


def _npy(file: Path, members: zipfile.ZipFile, member: zipfile.ZipInfo) -> StoredArray:
    with members.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        start = stream.tell()
    if dtype.hasobject:
        raise pickle.UnpicklingError(f"{member.filename} holds pickled objects, which could run anything: refused.")
    if dtype.kind not in "fiub":
        raise ValueError(f"{member.filename} is of {dtype}, and no real numbers")
    if member.compress_type == zipfile.ZIP_STORED:
        return _lying(file, dtype.str, shape, _offset(file, member) + start, "F" if fortran else "C")
    with members.open(member) as stream:
        return StoredArray(np.lib.format.read_array(stream, allow_pickle=False))


def _torch(file: Path) -> Arrays:
    if not zipfile.is_zipfile(file):
        raise ValueError("it is no zip file, as torch writes them since 1.6")
    with zipfile.ZipFile(file) as members:
        pickled = next(m for m in members.infolist() if m.filename.endswith("/data.pkl"))
        lying = {m.filename.rpartition("/data/")[2]: m for m in members.infolist() if "/data/" in m.filename}
        with members.open(pickled) as stream:
            found = _Tensors(stream, file, lying).load()
    if not isinstance(found, Mapping) or not all(isinstance(v, StoredArray) for v in found.values()):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        raise ValueError(f"it holds {type(found).__name__}, and a state dict of tensors is asked for")
    return dict(found)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


class _Tensors(pickle.Unpickler):
    """Reads a state dict as names and places of tensors; any other name in it is refused."""

    def __init__(self, stream: Any, file: Path, lying: Mapping[str, zipfile.ZipInfo]) -> None:
        super().__init__(stream)
        self.file, self.lying = file, lying

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if module_name == "torch" and global_name in _TORCH:
            return global_name
        if (found := known.get((module_name, global_name))) is None:
            raise pickle.UnpicklingError(
                f"it holds {module_name}.{global_name}, which is no tensor and could run anything: refused. Save its "
                "state dict alone, torch.save(ae.state_dict(), 'ae.pt')."
            )
        return found

    def persistent_load(self, pid: Any) -> StoredArray:
        _, kind, key, _, count = pid
        member = self.lying[key]
        if member.compress_type != zipfile.ZIP_STORED or member.file_size < count * _size(_TORCH[kind]):
            raise ValueError(f"the numbers of tensor {key} are not all there")
        return _lying(self.file, _TORCH[kind], (int(count),), _offset(self.file, member))


def _size(kind: str) -> int:
    return 2 if kind == _BF16 else np.dtype(kind).itemsize


def _tensor(storage: StoredArray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if min((0, offset, *shape, *strides)) < 0 or (all(shape) and last >= storage.shape[0]):
        raise ValueError("a tensor lies outside its storage")
    lies = storage.lies
    if not all(shape) or not isinstance(lies, FileArray):
        return evolve(storage, lies=np.zeros(shape, lies.dtype))
    size = lies.dtype.itemsize
    there = evolve(lies, offset=lies.offset + offset * size, shape=shape, strides=tuple(n * size for n in strides))
    return evolve(storage, lies=there)


def _parameter(tensor: StoredArray, *_: Any) -> StoredArray:
    return tensor


def refuse_others(found: Mapping[str, Any], known: str, what: str) -> None:
    """Raises ClaimError for a name that is not among the `known` words."""
    if others := sorted(set(found) - set(known.split())):
        raise ClaimError(
            f"{what}: {some(map(repr, others), 3)} is not understood here, and may change what it computes."
        )


def refuse_lack(found: Mapping[str, Any], needed: str, what: str) -> None:
    """Raises ClaimError where one of the `needed` words is not there."""
    if lacking := [name for name in needed.split() if name not in found]:
        raise ClaimError(f"{what}: {', '.join(lacking)} is missing; found {some(map(repr, sorted(found)), 8)}.")
