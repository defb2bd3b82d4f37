"""Results on disk: JSON, written whole or not at all."""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from scrub.errors import ClaimError, shorten
from scrub.storage.version import VERSION

RUN = "run.json"
LONGEST = 255  # bytes of a name that file systems take
NAME = 50  # letters of it in the name of the file beside it


def as_json(results: Sequence[dict[str, Any]], **beside: Any) -> str:
    """`{"scrub": version, "results": [...]}`, the form of every command's `--json`; no number is NaN.

    `beside` are fields of what a run stores besides.
    """
    content = {"scrub": VERSION, "results": _plain(results), **_plain(beside)}
    return json.dumps(content, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    """What JSON knows: numpy scalars as numbers, undefined numbers as null, any other thing as its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def writable(path: Path) -> None:
    """Say before a long run that its result could not be written. Leaves nothing behind. Raises ClaimError."""
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a directory")
        if any(len(os.fsencode(part)) > LONGEST for part in path.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        there = next(folder for folder in _target(path).parents if folder.exists())
        if not path.exists() or path.is_file():
            tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise refused(path, error) from None


def free(path: Path, role: str = "") -> None:
    """As `writable`, of what is never written over. Raises ClaimError for a path that exists as well."""
    if os.path.lexists(path):  # False for what can be no path, which `writable` tells
        raise ClaimError(f"{role}{path} exists already, and is left as it is: choose another name.")
    writable(path)


def _target(path: Path) -> Path:
    """Where a path leads: a link stays one. Raises OSError for links that lead to themselves."""
    try:
        return path.resolve()
    except RuntimeError:  # before Python 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None


def write_text(path: Path, content: str, *, follow: bool = True) -> None:
    """Write a file by way of one beside it, so that no reader meets half of it.

    A link that a user named stays one, and a device is written to. Inside a run directory, which may come from
    someone else, `follow=False` puts the file in place of whatever is there. Raises ClaimError when it cannot be
    written.
    """
    write_bytes(path, f"{content}\n".encode(), follow=follow)


def write_bytes(path: Path, content: bytes, *, follow: bool = True) -> None:
    """As `write_text`. A process that is killed leaves no half of a file, but maybe one beside it: `.NAME.HEX`."""
    try:
        if follow and path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = _target(path) if follow else path
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name[:NAME]}.{uuid4().hex}")
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # else a power cut may leave the name without the content
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise refused(path, error) from None


def refused(path: Path, error: OSError) -> ClaimError:
    return ClaimError(f"{shorten(str(path), 120)} cannot be written: {error.strerror}.")


def save(out: Path, results: Sequence[dict[str, Any]]) -> Path:
    """Store a run as `run.json` in a directory."""
    path = out / RUN
    write_text(path, as_json(results), follow=False)
    return path


def path_from(file: Path, data: Path) -> str:
    """A Python expression for a data file: relative to the claim's where it lies beside or below it."""
    folder, there = file.resolve().parent, data.resolve()
    if there.is_relative_to(folder):
        return f"Path(__file__).parent / {json.dumps(there.relative_to(folder).as_posix(), ensure_ascii=False)}"
    return json.dumps(str(there), ensure_ascii=False)
