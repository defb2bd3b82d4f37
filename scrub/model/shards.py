"""A directory's files of weights, looked at without torch and without reading a number: is all there?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from scrub.claims.hub import hub_file
from scrub.errors import ModelError, path_of, some
from scrub.model.checkpoints.beside import is_native
from scrub.model.known import official

INDEX = "model.safetensors.index.json"


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
    held = {file: _sizes(folder / file) for file in sorted({*listed.values()}) if (folder / file).is_file()}
    absent = sorted({*listed.values()} - {*held})
    if absent:
        raise ModelError(f"{folder} lacks {some(absent, 3)}, which {INDEX} lists: take a whole copy.")
    lacking = [f"{name} in {file}" for name, file in sorted(listed.items()) if name not in held[file]]
    if lacking:
        raise ModelError(f"{folder} lacks {some(lacking, 3)}, which {INDEX} lists: take an undamaged copy.")


def numbers(folder: Path) -> int:
    """How many numbers a directory's files hold. Raises ModelError."""
    files: Iterable[Path] = {folder / file for file in _listed(folder / INDEX).values()}
    return sum(sum(_sizes(file).values()) for file in files or sorted(folder.glob("*.safetensors")))


def _listed(index: Path) -> dict[str, str]:
    """Which file holds each tensor; none of a model that is one file."""
    if not index.is_file():
        return {}
    try:
        found: Any = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(file) for name, file in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{index} cannot be read ({error}): take an undamaged copy.") from None


def _sizes(file: Path) -> dict[str, int]:
    """How many numbers each tensor of a file has."""
    try:
        with safe_open(file, "np") as stored:
            return {name: math.prod(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} cannot be read ({error}): take an undamaged copy.") from None
