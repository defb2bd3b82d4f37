"""From a source that was found to weights in memory: the zoo, a loaded bridge, a directory, the hub."""

from __future__ import annotations

import torch

from scrub.errors import ModelError
from scrub.model.load import load
from scrub.model.source import ZOO, Source
from scrub.model.weights import Transformer

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def open_weights(source: Source, device: str | None, dtype: str, longest: int) -> Transformer:
    """The checked weights of a model; the self-check uses rows of `longest` tokens. Raises ModelError."""
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown: float32 (the default) or float64 (to verify).")
    place = _device(device)
    loaded = source.loaded
    if loaded is None and source.name.startswith(ZOO):
        from scrub import zoo

        loaded = zoo.bridge(source.name.removeprefix(ZOO))
    return load(source.name if loaded is None else loaded, dtype=DTYPES[dtype], device=place, probe_length=longest)


def _device(name: str | None) -> torch.device | None:
    if name is None:
        return None
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ModelError(f"--device {name}: not available here ({first}). Use --device cpu.") from None
    return device
