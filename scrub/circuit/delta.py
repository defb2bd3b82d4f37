"""What components write in one set of values beyond another."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from scrub.anatomy.names import EMBED, POS, Component
from scrub.circuit.values import Values
from scrub.model.block import change_entering
from scrub.model.layers import write
from scrub.model.weights import Transformer


def at_places(array: Tensor, at: Int[Tensor, " n"] | None) -> Tensor:
    return array if at is None else array[torch.arange(len(at), device=at.device), at]


def component_delta(
    component: Component, new: Values, old: Values, model: Transformer, at: Int[Tensor, " n"] | None = None
) -> Tensor:
    """What a component writes in one set of values beyond the other: at every position, or at one of each row."""
    layer = component.layer or 0
    if component.traits.is_stream:
        mlps = [component_delta(Component.for_mlp(i), new, old, model, at) for i in range(layer)]
        given = [component_delta(c, new, old, model, at) for c in (EMBED, POS)]
        return torch.stack([*given, *(_entered(model, i, new, old, at) for i in range(layer)), *mlps]).sum(0)
    change = at_places(new.of(component), at) - at_places(old.of(component), at)
    if not component.traits.attends:
        return change
    return write(model.blocks[layer].attn, change, component.heads(model.shape))


def _entered(model: Transformer, layer: int, new: Values, old: Values, at: Int[Tensor, " n"] | None) -> Tensor:
    """What attention of a layer adds to the stream in one set of values beyond the other."""
    block = model.blocks[layer]
    change = component_delta(Component.for_attn(layer), new, old, model, at)
    return change_entering(block, change, lambda: write(block.attn, at_places(old.z[layer], at)))
