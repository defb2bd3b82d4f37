"""From a name, a directory or a loaded bridge to a checked `Transformer`. Errors are one sentence each."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from scrub.claims.dataset import Dataset
from scrub.claims.hub import cached_revision, reachable
from scrub.errors import ModelError, some
from scrub.model.checkpoints.beside import SAVED, is_checkpoint, is_native
from scrub.model.checkpoints.opened import open_checkpoint
from scrub.model.memory import Memory
from scrub.model.outline import language_model, quiet
from scrub.model.places import devices
from scrub.model.recorded import recorded_checkpoint
from scrub.model.shards import stamps
from scrub.model.source import is_bridge, is_wrappable
from scrub.model.take import Take
from scrub.model.transformer import adapt, bridge_of, official_name, wrapped
from scrub.model.weights import Transformer

_USE_A_DIRECTORY = 'give a directory that holds config.json and *.safetensors: model="path/to/dir", or --model DIR.'
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
# What old files carry along and models compute anew: angles, causal masks, position numbers.
_HARMLESS = re.compile(r"(^|\.)(inv_freq|(attn|attention)\.(bias|masked_bias)|causal_mask|position_ids)$")


def load(
    source: Any,
    *,
    dtype: torch.dtype | None = torch.float32,
    device: torch.device | str | None = None,
    data: Dataset | None = None,
    memory: int | None = None,
) -> Transformer:
    """The checked weights of a model: a hub name, a directory, a loaded model, a TransformerBridge or a Transformer.

    A directory needs `config.json` and weights, no tokenizer; code that comes with a model is never run. A
    `Transformer` was checked when it was made and is only moved. `data`, `memory` and no `dtype`: see `adapt`. Raises
    ModelError with what was found and what to do.
    """
    if isinstance(source, Transformer):
        moved = source.to(dtype=dtype, device=device)
        return attrs.evolve(moved, memory=Memory.on(devices(moved), memory))
    if is_wrappable(source):
        source = wrapped(source)
    if is_bridge(source):
        return adapt(source, dtype=dtype, device=device, data=data, memory=memory)
    if not isinstance(source, str | Path):
        raise ModelError(
            f"an object of type {type(source).__name__} is no model; give a name, a directory, a model of Hugging "
            "Face's, a TransformerBridge or a graph."
        )
    path = Path(source).expanduser()
    if (weights := own_weights(path)) is not None:
        found = recorded_checkpoint(weights, _called(path), Take(dtype, device))
        if found is not None:
            return attrs.evolve(found, memory=Memory.on(devices(found), memory))
        bridge = open_checkpoint(weights)
        return adapt(bridge, dtype=dtype, device=device, name=_called(path), data=data, memory=memory)
    if not path.is_dir() and (isinstance(source, Path) or source.startswith((".", "/", "~"))):
        raise ModelError(f"there is no directory {str(source)!r}; {_USE_A_DIRECTORY}")
    name = path.name if path.is_dir() else str(source)
    bridge = _opened(source, path, Take(dtype, device))
    commit = getattr(bridge.original_model.config, "_commit_hash", None)
    return adapt(bridge, dtype=dtype, device=device, name=name, revision=commit, data=data, memory=memory)


# Kept by the files (or the commit), and by how they are taken: the bridge of the model that was opened last.
_bridges: dict[Hashable, Any] = {}


def _opened(source: str | Path, path: Path, take: Take) -> Any:
    """The bridge of a directory, or of a model of the hub; one claim after another is asked of the same."""
    key = _files(source, path), take
    if key[0] is not None and key in _bridges:
        return _bridges[key]
    _bridges.clear()  # before another one is in memory
    bridge = _bridge_around(source, path, take)
    _bridges[_files(source, path), take] = bridge  # a model of the hub may be here only now
    return bridge


def _files(source: str | Path, path: Path) -> Hashable:
    """What the weights come from, as it is now: files with their sizes and times, or a commit; None for neither."""
    if not path.is_dir():
        commit = cached_revision(official_name(str(source)))
        return commit and (source, commit)
    return stamps(file for file in sorted(path.absolute().iterdir()) if file.is_file())


def _bridge_around(source: str | Path, path: Path, take: Take) -> Any:
    if path.is_dir():
        name, module = path.name, from_directory(path, take.dtype)
    else:
        name, module = str(source), _from_hub(str(source), take.dtype)
    return bridge_of(module if take.device is None else module.to(take.device), name)


def own_weights(path: Path) -> Path | None:
    """The file of weights of a checkpoint, or of a directory that `scrub.save` wrote; None for anything else."""
    if is_checkpoint(path):
        return path
    return path / SAVED if is_native(path) else None


def _called(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def from_directory(path: Path, dtype: torch.dtype | None) -> nn.Module:
    """Hugging Face's model with the weights of a directory: views of mapped files, where these have the dtype.

    Raises ModelError.
    """
    if not (path / "config.json").is_file():
        raise ModelError(f"{path} holds no config.json, so it is no model; {_USE_A_DIRECTORY}")
    if not any(file for pattern in _WEIGHTS for file in path.glob(pattern)):
        raise ModelError(f"{path} holds a config.json but no weights (*.safetensors); {_USE_A_DIRECTORY}")
    try:
        return _pretrained(str(path), dtype, local=True)
    except ModelError:
        raise
    except Exception as error:  # readers of configurations, safetensors and pickles each raise their own
        raise ModelError(
            f"the model in {path} cannot be read ({_first(error)}): it is damaged, or of a kind that the "
            "installed transformers does not know. Take an undamaged copy, or give the loaded model in Python."
        ) from error


def _from_hub(name: str, dtype: torch.dtype | None) -> nn.Module:
    try:
        return _pretrained(official_name(name), dtype, local=not reachable())
    except ModelError:
        raise
    except Exception as error:
        if "RepositoryNotFoundError" in _causes(error):
            found = f"the Hugging Face hub has no model called {name!r}"
        elif _causes(error) & {
            "LocalEntryNotFoundError",
            "OfflineModeIsEnabled",
            "ConnectError",
            "ConnectionError",
        }:
            found = f"{name!r} is not in the local cache and the Hugging Face hub cannot be reached"
        else:
            found = f"{name!r} cannot be loaded from the Hugging Face hub ({_first(error)})"
        raise ModelError(f"{found}; {_USE_A_DIRECTORY}") from error


def _pretrained(name: str, dtype: torch.dtype | None, *, local: bool) -> nn.Module:
    from transformers import AutoConfig

    with quiet():
        config = AutoConfig.from_pretrained(name, local_files_only=local)
        loaded: Any = language_model(config).from_pretrained(
            name,
            dtype=dtype or "auto",  # what its configuration says, or the first weights of its files
            attn_implementation="eager",
            local_files_only=local,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    module, info = loaded
    if unused := sorted(key for key in info["unexpected_keys"] if not _HARMLESS.search(key)):
        raise ModelError(
            f"the weights of {name} hold what its config.json has no place for: {some(unused, 3)} would not be used. "
            "Does it say fewer layers, or another architecture, than the file has?"
        )
    # Hugging Face fills what is missing with random numbers and only logs it.
    wrong = sorted(info["missing_keys"]) + sorted(str(key[0]) for key in info["mismatched_keys"])
    if wrong:
        raise ModelError(f"the weights of {name} do not fit its config.json: {some(wrong, 3)} missing or misshapen.")
    return module


def _first(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def _causes(error: BaseException | None) -> set[str]:
    """The class names, bases included, of an error and of everything that led to it."""
    names: set[str] = set()
    while error is not None:
        names |= {cls.__name__ for cls in type(error).__mro__}
        error = error.__cause__ or error.__context__
    return names
