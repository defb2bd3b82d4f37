"""Results on disk: JSON, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from scrub.errors import ClaimError


def as_json(results: list[dict[str, Any]]) -> str:
    """`{"scrub": version, "results": [...]}`, the form of every command's `--json`."""
    from scrub import __version__

    return json.dumps({"scrub": __version__, "results": results}, indent=2, default=_plain, allow_nan=False)


def _plain(value: Any) -> Any:
    """numpy scalars as numbers; anything else that JSON does not know as its text."""
    return value.item() if hasattr(value, "item") else str(value)


def write_text(path: Path, content: str) -> None:
    """Write a file by way of a temporary one beside it. Raises ClaimError when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content + "\n")
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ClaimError(f"{path} cannot be written: {error.strerror}.") from None


def save(out: Path, results: list[dict[str, Any]]) -> Path:
    """Store a run as `run.json` in a directory."""
    path = out / "run.json"
    write_text(path, as_json(results))
    return path
