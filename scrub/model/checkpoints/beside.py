"""The configuration beside a checkpoint: `model.json` beside `model.pt`, or config.json. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from scrub.errors import ModelError, unread

if TYPE_CHECKING:
    from scrub.model.checkpoints.settings import Settings

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
SAVED = "model.safetensors"


def is_native(folder: Path) -> bool:
    """Whether a directory is one that `scrub.save` wrote of a native model."""
    from scrub.model.checkpoints.settings import FAMILY

    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("model_type") == FAMILY  # pyright: ignore[reportUnknownMemberType]


def is_checkpoint(path: Path) -> bool:
    """Whether a path is a file of weights, told by its name."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def settings_beside(path: Path) -> Settings | None:
    """What the JSON file beside a checkpoint says; None without one. Raises ModelError."""
    file = next((file for file in (path.with_suffix(".json"), path.parent / "config.json") if file.is_file()), None)
    if file is None:
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read: {unread(error)}.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{file} describes no model: it holds no JSON object.")
    from scrub.model.checkpoints.settings import Settings

    return Settings.of(found, str(file))  # pyright: ignore[reportUnknownArgumentType]
