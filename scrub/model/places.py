"""Where tensors meet, of a model whose layers lie on several devices.

Matrices stay where they lie: what is multiplied by them goes there, and what comes of it back. Vectors of a layer
(biases, norms), being small, go to the stream. A pass carries its stream from layer to layer: all that a layer
computes of rows, and what is kept of it, lies with the layer. Everything else, contexts, their streams and what is
found, lies on the model's own device, that of its embeddings. On one device nothing moves.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from scrub.model.weights import Transformer


def beside(x: Tensor, other: Tensor) -> Tensor:
    """The other tensor where the first one lies."""
    return other.to(x.device)


def plus(x: Tensor, other: Tensor | None) -> Tensor:
    """The sum, where the first one lies; of nothing, the first one."""
    return x if other is None else x + beside(x, other)


def place(model: Transformer, layer: int) -> torch.device:
    """Where a layer lies; past the last one, where the final stream does."""
    apart = model.lending is None and layer < len(model.blocks)  # what is taken from files is not taken for this
    return model.blocks[layer].attn.W_Q.device if apart else model.device


def devices(model: Transformer) -> tuple[torch.device, ...]:
    """Where a model lies, its own device first."""
    return tuple(dict.fromkeys((model.device, *(place(model, layer) for layer in range(len(model.blocks))))))


def layers_by_device(loaded: Any) -> dict[str, int]:
    """How many layers of a loaded model, a bridge or a `Transformer`, lie on each device; of anything else none."""
    if isinstance(loaded, Transformer):
        return dict(Counter(str(place(loaded, layer)) for layer in range(len(loaded.blocks))))
    return dict(Counter(str(next(block.parameters()).device) for block in getattr(loaded, "blocks", ())))
