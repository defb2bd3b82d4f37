"""A directory's files of weights, looked at without torch and without reading a number: is all there?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scrub.claims.hub import hub_file
from scrub.errors import ModelError, path_of, some, unread
from scrub.model.checkpoints.beside import is_native
from scrub.model.known import official

INDEX = "model.safetensors.index.json"
BYTES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}  # of a number
COUNTS = frozenset({"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"})  # masks, numbers of positions


def stamps(files: Iterable[Path]) -> tuple[tuple[Path, int, int], ...]:
    """Files as they are now: each with its size and time."""
    stats = [(file, file.stat()) for file in files]
    return tuple((file, stat.st_size, stat.st_mtime_ns) for file, stat in stats)


def directory(source: str | Path) -> Path:
    """The directory of a model that can be run from its files. Raises ModelError for anything else."""
    path = path_of(source, "model").expanduser()
    config = path / "config.json" if path.is_dir() else hub_file(official(str(source)), "config.json")
    if config is None or not config.is_file() or is_native(config.parent):
        raise ModelError(
            "--stream runs a directory of Hugging Face's (config.json and *.safetensors), or a model in the hub's "
            f"cache, from its files, and {source} is none: leave --stream out."
        )
    if not any(config.parent.glob("*.safetensors")):
        raise ModelError(
            f"--stream maps *.safetensors into memory, and {config.parent} holds none: save the model again with "
            "transformers (save_pretrained), or leave --stream out."
        )
    refuse_incomplete(config.parent)
    return config.parent.resolve()


def refuse_incomplete(folder: Path) -> None:
    """Raises ModelError naming the tensors that a directory's index lists and its files do not hold."""
    listed = _listed(folder / INDEX)
    held = {file: _tensors(folder / file) for file in sorted({*listed.values()}) if (folder / file).is_file()}
    absent = sorted({*listed.values()} - {*held})
    if absent:
        raise ModelError(f"{folder} lacks {some(absent, 3)}, which {INDEX} lists: take a whole copy.")
    lacking = [f"{name} in {file}" for name, file in sorted(listed.items()) if name not in held[file]]
    if lacking:
        raise ModelError(f"{folder} lacks {some(lacking, 3)}, which {INDEX} lists: take an undamaged copy.")


def numbers(folder: Path) -> int:
    """How many numbers a directory's files hold. Raises ModelError."""
    return sum(size for file in _files(folder) for _, size in _tensors(file).values())


def dtype_of(folder: Path) -> str:
    """The dtype of a directory's weights, as `.safetensors` call it. Raises ModelError where it is not one of four.

    What has another dtype than a model is opened in would be cast, in memory, or rounded.
    """
    found = {dtype for file in _files(folder) for dtype, _ in _tensors(file).values() if dtype not in COUNTS}
    if len(found) != 1 or not found <= BYTES.keys():
        raise ModelError(
            f"{folder} holds weights in {some(sorted(found)) or 'no dtype'}, and --stream maps those of one dtype "
            f"({some(sorted(BYTES))}): save the model in one, or leave --stream out."
        )
    return found.pop()


def _files(folder: Path) -> list[Path]:
    listed = {folder / file for file in _listed(folder / INDEX).values()}
    return sorted(listed or folder.glob("*.safetensors"))


def _listed(index: Path) -> dict[str, str]:
    """Which file holds each tensor; none of a model that is one file."""
    if not index.is_file():
        return {}
    try:
        found: Any = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(file) for name, file in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{index} cannot be read ({unread(error)}): take an undamaged copy.") from None


def _tensors(file: Path) -> dict[str, tuple[str, int]]:
    """The dtype of each tensor of a file, and how many numbers it has."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as stored:
            found = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118 (it is no mapping)
            return {name: (part.get_dtype(), math.prod(part.get_shape())) for name, part in found.items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} cannot be read ({error}): take an undamaged copy.") from None
