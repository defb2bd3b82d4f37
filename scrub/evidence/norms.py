"""A norm whose scale is that of a whole vector is linear: what its parts become, and what a direction reads.

`ln(x) = w (x - mean x) / s + b` with s of the whole: each part is centred by itself (where the norm centres), so that
the parts sum to `ln(x) - b`. The bias belongs to no part.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from scrub.model.places import beside
from scrub.model.weights import Norm

Vectors = Float[Tensor, "row d"]


def shared_out(n: Norm, whole: Vectors, part: Vectors) -> Vectors:
    """What a part of `whole` becomes behind the norm."""
    return _weighted(n, _centred(n, part) * _scale(n, whole))


def pulled_back(n: Norm, whole: Vectors, direction: Vectors) -> Vectors:
    """The direction before the norm whose product with a part is that of `direction` with the part behind it."""
    return _centred(n, _weighted(n, direction) * _scale(n, whole))


def _centred(n: Norm, x: Vectors) -> Vectors:
    return x - x.mean(-1, keepdim=True) if n.kind == "layer" else x


def _scale(n: Norm, whole: Vectors) -> Float[Tensor, "row 1"]:
    """One over the whole's deviation, or its root mean square."""
    if n.kind == "none":
        return torch.ones_like(whole[:, :1])
    return torch.rsqrt(_centred(n, whole).square().mean(-1, keepdim=True) + n.eps)


def _weighted(n: Norm, x: Vectors) -> Vectors:
    return x if n.weight is None else x * beside(x, n.weight)
