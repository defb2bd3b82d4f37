"""`scrub.save`: a loaded model as a directory that `model=` and `--model` read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

from scrub.errors import ModelError, path_of
from scrub.model.source import ZOO, find
from scrub.storage import files
from scrub.verbs.load import load


def save(model: Any, out: str | Path) -> Path:
    """Write a model into a new directory: `config.json` and `model.safetensors`, the tokenizer where it has one.

    `model` is what `scrub.load` gives, a TransformerBridge, a model of Hugging Face's, the name of a checkpoint, or
    one of the zoo (`"zoo:induction"`), whose words for its tokens are written as `tokenizer.json`.
    What was written is loaded again and compared: it has the same weights and the same logits. Gives the directory.
    Raises ModelError for a directory that exists or cannot be written, for models that are no such thing, and for a
    bridge whose weights were folded (compatibility mode), which no directory holds.
    """
    from scrub.model.saved import same_again, write_model

    folder = path_of(out, "save(model, out)").expanduser()
    if folder.exists() or folder.is_symlink():
        raise ModelError(f"{folder} exists already: a model is never written over. Name another directory.")
    files.writable(folder)
    given = _named(model) if isinstance(model, str | Path) else model
    beside = folder.with_name(f".{folder.name[: files.NAME]}.{uuid4().hex}")
    try:
        beside.mkdir(parents=True)
        write_model(given, beside)
        same_again(given, beside)
        if isinstance(model, str) and model.startswith(ZOO):
            _write_words(model, beside)
        beside.rename(folder)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _named(name: str | Path) -> Any:
    """A model of the zoo, or that of a checkpoint."""
    if not str(name).startswith(ZOO):
        return load(name)
    from scrub.model.open import zoo_bridge

    return zoo_bridge(str(name).removeprefix(ZOO))


def _write_words(name: str, folder: Path) -> None:
    tokenizer: Any = find(name).tokenizer
    tokenizer.save(str(folder / "tokenizer.json"))
