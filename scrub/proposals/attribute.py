"""From differences and gradients to estimates: products summed over features, then over the positions of a node."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from scrub.model.graph import Shape
from scrub.model.layers import PLAIN, Steps
from scrub.proposals.forward import Arrays, Batch, Key
from scrub.proposals.nodes import extent

Scores = dict[str, Float[Tensor, "row layer unit column"]]  # by kind of node
_BY_UNIT = ("q", "k", "v", "head", "neuron")


def keys_of(kinds: Iterable[str], shape: Shape) -> list[Key]:
    """Every (kind, layer) of some kinds of nodes."""
    return [(kind, layer) for kind in kinds for layer in range(extent(kind, shape)[0])]


def product(kind: str, delta: Tensor, gradient: Tensor) -> Float[Tensor, "row t unit"]:
    """What a first-order change by `delta` makes of the metric, at every position."""
    if kind == "neuron":
        return delta * gradient
    found = (delta * gradient).sum(-1)
    return found if kind in _BY_UNIT else found.unsqueeze(-1)


def over_positions(batch: Batch, found: Float[Tensor, "row t unit"]) -> Float[Tensor, "row unit column"]:
    """The sum over the positions of each column."""
    if batch.summed:
        return found.sum(1).unsqueeze(-1)
    return torch.einsum("rtu,rtc->ruc", found, batch.columns.to(found.dtype))


def first_order(batch: Batch, kinds: Iterable[str], base: Arrays, gradients: Arrays) -> Scores:
    """`(n(source) - n(base)) . gradient` for every node, per row (AtP, Kramar et al. 2024, eq. 4)."""
    found: Scores = {}
    for kind in kinds:
        layers = range(extent(kind, batch.model.shape)[0])
        found[kind] = stacked(
            over_positions(
                batch,
                product(kind, batch.source_values[kind, layer] - base[kind, layer], gradients[kind, layer]),
            )
            for layer in layers
        )
    return found


def stacked(layers: Iterable[Float[Tensor, "row unit column"]]) -> Float[Tensor, "row layer unit column"]:
    return torch.stack([layer.detach() for layer in layers], dim=1)


def at_base(batch: Batch, asked_kinds: Iterable[str], steps: Steps = PLAIN) -> Scores:
    """First-order estimates with the gradient at the base run, under the given steps."""
    kinds = tuple(asked_kinds)
    run = batch.forward(steps)
    gradients = run.gradients(keys_of(kinds, batch.model.shape))
    return first_order(batch, kinds, run.nodes, gradients)
