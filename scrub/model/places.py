"""Where tensors meet, of a model whose layers lie on several devices.

Matrices stay where they lie: what is multiplied by them goes there, and what comes of it back. Vectors of a layer
(biases, norms), being small, go to the stream. A pass carries its stream from layer to layer: all that a layer
computes of rows, and what is kept of it, lies with the layer. Everything else, contexts, their streams and what is
found, lies on the model's own device, that of its embeddings. On one device nothing moves.
"""

from __future__ import annotations

from torch import Tensor


def beside(x: Tensor, other: Tensor) -> Tensor:
    """The other tensor where the first one lies."""
    return other.to(x.device)


def plus(x: Tensor, other: Tensor | None) -> Tensor:
    """The sum, where the first one lies; of nothing, the first one."""
    return x if other is None else x + beside(x, other)
