"""From a source that was found to weights in memory: the zoo, a loaded bridge, a directory, the hub."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.dataset import Dataset
from scrub.errors import ModelError, did_you_mean
from scrub.model.device import device_of
from scrub.model.load import load
from scrub.model.memory import Backend
from scrub.model.recorded import recorded_zoo
from scrub.model.source import ZOO, Source
from scrub.model.stream import stream
from scrub.model.take import Take
from scrub.model.transformer import adapt, native_bridge
from scrub.model.weights import Transformer
from scrub.zoo import info

DTYPES = {
    "auto": None,  # the model's own (`own_of`)
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def open_weights(source: Source, backend: Backend, data: Dataset | None = None) -> Transformer:
    """The checked weights of a model; the self-check looks at rows of `data`. Raises ModelError."""
    if backend.dtype not in DTYPES:
        raise ModelError(
            f"dtype {backend.dtype!r} is unknown.{did_you_mean(backend.dtype, DTYPES)} There are auto (the default: "
            "the model's own half precision or float64, or float32), float32, float64, bfloat16 and float16."
        )
    place = device_of(backend.device)
    take = Take(DTYPES[backend.dtype], place)
    if source.streamed:
        weights = stream(source.name, take, data, backend.memory)
    elif source.read is not None:
        weights = adapt(
            source.loaded, dtype=take.dtype, device=place, data=data, memory=backend.memory, read=source.read
        )
    else:
        loaded = source.loaded
        if loaded is None and source.name.startswith(ZOO):
            title = source.name.removeprefix(ZOO)
            loaded = _own_zoo(title, take) or _own_zoo_bridge(title)
        given = source.name if loaded is None else loaded
        weights = load(given, dtype=take.dtype, device=place, data=data, memory=backend.memory)
    _as_checked(source, weights)
    _as_frozen(source, weights)
    return weights


def zoo_bridge(name: str) -> Any:
    """The model of the zoo called `name`: a TransformerBridge in eval mode, on the CPU and in fp32.

    Raises ModelError when the zoo has no such model.
    """
    from scrub.zoo.loading import weights

    card = info(name)
    return native_bridge(card.config, weights(card), name)


# Kept by the name and by where: their weights are files of this package, and nobody else holds what is kept.
@cache
def _own_zoo(name: str, take: Take) -> Transformer | None:
    return recorded_zoo(name, take)


@cache  # kept by the name, as above
def _own_zoo_bridge(name: str) -> Any:
    return zoo_bridge(name)


# what the edges of a claim depend on: it was checked against these before the weights were there
_ANATOMY = ("n_layers", "n_heads", "n_kv_heads", "positions", "parallel", "causal")


def _as_checked(source: Source, weights: Transformer) -> None:
    """The claim was checked against a shape; the weights must have it. Raises ModelError where they differ."""
    assert isinstance(source.graph, TransformerGraph)
    known, found = source.graph.shape, weights.shape
    differ = [name for name in _ANATOMY if getattr(known, name) != getattr(found, name)]
    differ += ["d_mlp"] if bool(known.d_mlp) != bool(found.d_mlp) else []
    if differ:
        words = ", ".join(f"{name} {getattr(found, name)} instead of {getattr(known, name)}" for name in differ)
        raise ModelError(
            f"the weights of {source.name} do not have the shape that its config.json, or the table of well-known "
            f"models, gives: {words}. Give the loaded TransformerBridge as model=."
        )


def _as_frozen(source: Source, weights: Transformer) -> None:
    """Raises ModelError where a claim was frozen with other weights of the same name."""
    if source.expected and source.expected != weights.revision:
        raise ModelError(
            f"the claim was frozen with weights {source.expected[:12]} of {source.name}, and those that are there "
            f"now are {weights.revision[:12]}: give the ones that were meant, --model DIR; or say that these will "
            f"do, --model {source.name}."
        )
