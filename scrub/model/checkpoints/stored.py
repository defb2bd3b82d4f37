"""Tensors in a file, `.safetensors` or what torch.save wrote, and the configuration in it.

No code of a file is run: pickles are opened with `weights_only`, and of objects only plain numbers are taken.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scrub.errors import ModelError, some

_WEIGHTS = ("state_dict", "model_state_dict", "model", "params", "weights")  # under which training loops keep them
_CONFIGS = ("model_args", "cfg", "model_config", "config")
_WRAPPERS = ("_orig_mod.", "module.", "model.")  # of torch.compile, of parallel training, of a class around it
# What a configuration in a pickle may hold beside plain values: numbers of numpy's, and a device.
_NUMBERS: list[Any] = [np._core.multiarray.scalar, np.dtype, type(np.dtype(float)), type(np.dtype(np.float32))]  # pyright: ignore


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file by name, and the configuration that lies beside them in it, which may be empty.

    Raises ModelError for a file that cannot be read, that holds objects, or no tensors.
    """
    found = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    return unpacked(found, str(path))


def unpacked(found: Any, title: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors in what was loaded, wherever a training loop put them. Raises ModelError where there are none."""
    if not isinstance(found, Mapping):
        raise ModelError(f"{title} holds a {type(found).__name__}, not tensors by name: save model.state_dict().")
    state = next((found[key] for key in _WEIGHTS if _is_state(found.get(key))), found)
    if not _is_state(state):
        raise ModelError(
            f"{title} holds no tensors by name; its keys are {some(map(repr, found), 5)}. Save "
            f"model.state_dict(), by itself or under one of {', '.join(map(repr, _WEIGHTS))}."
        )
    config = next((found[key] for key in _CONFIGS if key in found and isinstance(found[key], Mapping)), {})
    return _bare({str(name): tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}), dict(config)


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(one, Tensor) for one in value.values())


def _bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what a wrapper put before every name."""
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    return state


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged, or no safetensors file: {error}.") from None


def _pickled(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" not in str(error) and "global" not in str(error):
            raise ModelError(f"{path} is damaged, or nothing that torch.save wrote.") from None
        raise ModelError(
            f"{path} holds Python objects beside tensors, and those are not opened, because opening them runs "
            "what is in them. Save tensors alone, torch.save(model.state_dict(), ...), the configuration in a JSON "
            "file beside it."
        ) from None
    except (OSError, RuntimeError, EOFError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{path} cannot be read as weights: {first.rstrip('.')}.") from None
    except Exception:  # what bytes that are no pickle happen to mean
        raise ModelError(f"{path} is damaged, or nothing that torch.save wrote.") from None
