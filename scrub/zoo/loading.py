"""The weights of a card, stored or made: the only file of the zoo that needs torch."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from scrub.zoo.cards import Card, weights_path
from scrub.zoo.compiled import COMPILED


def weights(card: Card) -> dict[str, Tensor]:
    """The weights of a model under the bridge's names: stored ones as stored, compiled ones made now."""
    if card.name in COMPILED:
        return {key: torch.from_numpy(value) for key, value in COMPILED[card.name].build().items()}
    return load_file(weights_path(card.name))


def digest(state: dict[str, Tensor]) -> str:
    """A digest of names, shapes, types and values, the same on every machine: 32 hexadecimal digits."""
    summary = hashlib.blake2b(digest_size=16)
    for key in sorted(state):
        values = np.ascontiguousarray(state[key].numpy())
        summary.update(f"{key} {values.shape} {values.dtype.str} ".encode())
        summary.update(values.tobytes())
    return summary.hexdigest()
