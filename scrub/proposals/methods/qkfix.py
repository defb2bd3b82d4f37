"""QK fix: queries and keys through the recomputed softmax; every other node as in attribution patching."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from scrub.proposals.attribute import Scores, first_order, over_positions, ruled, stacked
from scrub.proposals.forward import Arrays, PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.pattern import (
    Change,
    change_of,
    gradient_at,
    joint_key_effects,
    key_effects,
    query_effects,
)

FIXED = ("q", "k")


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """AtP (with `rules`, RelP) estimates; those of q and k with the softmax of the source's values."""
    run, gradients = ruled(batch, fixed_kinds(asked.kinds), asked.rules)
    return fixed(batch, asked.kinds, run.nodes, gradients)


def fixed(batch: PatchBatch, kinds: tuple[str, ...], values: Arrays, gradients: Arrays) -> Scores:
    """Estimates from the gradients of a run, q and k through the softmax."""
    found = first_order(batch, (kind for kind in kinds if kind not in FIXED), values, gradients)
    return found | through_softmax(batch, kinds, values, gradients)


def fixed_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """The kinds whose gradients are needed: q and k take those of z."""
    named = set(kinds)
    return tuple(sorted(named - {*FIXED} | ({"head"} if named & {*FIXED} else set())))


def through_softmax(batch: PatchBatch, kinds: Iterable[str], values: Arrays, gradients: Arrays) -> Scores:
    """The estimates of q and k, where these are asked for; patterns are made layer by layer and not kept."""
    wanted = [kind for kind in FIXED if kind in kinds]
    found: dict[str, list[Tensor]] = {kind: [] for kind in wanted}
    with torch.no_grad():
        for layer in range(batch.model.shape.n_layers if wanted else 0):
            change = change_of(batch, values, layer, not batch.summed)
            gradient = gradient_at(batch, values, gradients["head", layer], layer)
            for kind, layers in found.items():
                effects = _queries if kind == "q" else _keys
                layers.append(effects(batch, change, gradient))
    return {kind: stacked(layers) for kind, layers in found.items()}


def _queries(batch: PatchBatch, change: Change, gradient: Tensor) -> Tensor:
    return over_positions(batch, query_effects(change, gradient))


def _keys(batch: PatchBatch, change: Change, gradient: Tensor) -> Tensor:
    if batch.summed:
        return joint_key_effects(change, gradient).unsqueeze(-1)
    return over_positions(batch, key_effects(change, gradient))


METHOD = Method(
    "AtP, with the softmax recomputed for queries and keys",
    "Kramar et al. 2024 (arXiv 2403.00745), eq. 6-10",
    nodes,
    inside=True,
    takes=("rules",),
    softmax=True,
)
