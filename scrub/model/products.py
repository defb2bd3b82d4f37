"""Products with the matrices of a model, which may be in half precision or on another device than the streams."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from scrub.model.places import beside, plus

_CAST = 2**22  # numbers of a matrix that are cast at once


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`x W + b`."""
    if weight.dtype == x.dtype:
        there = beside(weight, x)
        return beside(x, F.linear(there, weight.T, None if bias is None else beside(weight, bias)))
    return plus(times(x, weight), bias)


def times(x: Tensor, weight: Tensor, equation: str | None = None) -> Tensor:
    """`x W`, or another sum of products, in the dtype and on the device of the matrix; what comes out has x's."""
    lower = x.to(weight)
    if weight.dtype == torch.float16 and x.dtype != weight.dtype and (weight.device.type == "cpu" or x.requires_grad):
        # CPUs have no such products (they take 4 to 50 times as long), and gradients go below what fp16 can hold.
        lower, weight = beside(weight, x), weight.to(x.dtype)
    return (lower @ weight if equation is None else torch.einsum(equation, lower, weight)).to(x)


def precise_times(x: Float[Tensor, "*batch d"], weight: Float[Tensor, "d v"]) -> Float[Tensor, "*batch v"]:
    """`x W` in the dtype of x; of a matrix in half precision, some columns at a time are cast."""
    there = beside(weight, x)
    if weight.dtype == x.dtype:
        return beside(x, there @ weight)
    pieces = weight.split(max(1, _CAST // len(weight)), dim=1)
    return beside(x, torch.cat([there @ piece.to(x.dtype) for piece in pieces], dim=-1))
