"""Results on disk: JSON, written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scrub.errors import ClaimError


def as_json(results: Sequence[Mapping[str, Any]]) -> str:
    """`{"scrub": version, "results": [...]}`, the form of every command's `--json`."""
    from scrub import __version__

    return json.dumps({"scrub": __version__, "results": _plain(results)}, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value as JSON knows it: numpy as numbers, what is not finite as null, anything else as its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [_plain(part) for part in value]
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def writable(path: Path) -> None:
    """Say before a long run that its result could not be written. Leaves nothing behind. Raises ClaimError."""
    there = next((folder for folder in path.absolute().parents if folder.exists()), path)
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a directory")
        if not path.exists() or path.is_file():
            tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise _refused(path, error) from None


def write_text(path: Path, content: str) -> None:
    """Write a file by way of a temporary one beside it. Raises ClaimError when it cannot be written."""
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a pipe or a device, which must not be replaced
            path.write_text(content + "\n", encoding="utf-8")
            return
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            draft.write_text(content + "\n", encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> ClaimError:
    return ClaimError(f"{path} cannot be written: {error.strerror}.")


RUN = "run.json"


def save(out: Path, results: Sequence[Mapping[str, Any]]) -> Path:
    """Store a run as `run.json` in a directory."""
    path = out / RUN
    write_text(path, as_json(results))
    return path
