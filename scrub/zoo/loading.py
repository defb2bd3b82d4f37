"""From a card to a model that runs: the only file of the zoo that needs torch and TransformerLens."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from scrub.zoo.cards import Card, info, weights_path
from scrub.zoo.compiled import COMPILED

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def bridge(name: str) -> TransformerBridge:
    """The model of the zoo called `name`, in eval mode, on the CPU and in fp32. Nothing is downloaded.

    Raises ModelError when the zoo has no such model.
    """
    card = info(name)
    return booted(card.config, weights(card), name)


def weights(card: Card) -> dict[str, Tensor]:
    """The weights of a model under the bridge's names: stored ones as stored, compiled ones made now."""
    if card.name in COMPILED:
        return {key: torch.from_numpy(value) for key, value in COMPILED[card.name].build().items()}
    return load_file(weights_path(card.name))


def booted(config: dict[str, Any], state: dict[str, Tensor], name: str) -> TransformerBridge:
    """A native bridge in eval mode that carries `state`."""
    # TransformerLens takes seconds to import, and this file is also imported for `digest` alone.
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources.native import boot

    # Skipping TransformerLens' own initialisation is not enough: torch's layers still draw from the global
    # generator when they are built.
    with torch.random.fork_rng(devices=[]):
        made = boot(TransformerBridgeConfig(**config, init_weights=False), model_name=name)
    # The head of a native model has no bias; the bridge lists a zero one, which no file needs to store.
    missing = {key: value for key, value in made.state_dict().items() if key == "unembed.bias"}
    made.load_state_dict({**missing, **{key: value.float() for key, value in state.items()}}, strict=True)
    return made.eval()


def digest(state: dict[str, Tensor]) -> str:
    """A digest of names, shapes, types and values, the same on every machine: 32 hexadecimal digits."""
    summary = hashlib.blake2b(digest_size=16)
    for key in sorted(state):
        values = np.ascontiguousarray(state[key].numpy())
        summary.update(f"{key} {values.shape} {values.dtype.str} ".encode())
        summary.update(values.tobytes())
    return summary.hexdigest()
