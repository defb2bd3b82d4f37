"""GradDrop: attribution with the gradient of one layer's writes dropped, for each layer in turn."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from scrub.anatomy.table import ATTN_NORMED
from scrub.errors import ClaimError
from scrub.proposals.attribute import Scores, first_order
from scrub.proposals.forward import Arrays, Key, PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.rules import gated

OUTSIDE = ("embed", "resid")  # no layer drops these nodes themselves


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """`1/(L - 1) sum_l |estimate with layer l dropped|`; 1/L for nodes that are written by no layer.

    Not an estimate of an effect but a rank: two layers leave nothing of an indirect effect.
    """
    keys = batch.space.places(asked.kinds)
    total: Scores = {}
    for values, gradients in dropped(batch, keys):
        for kind, found in first_order(batch, asked.kinds, values, gradients).items():
            total[kind] = found.abs() + total.get(kind, 0)
    return shared(total, batch)


def dropped(batch: PatchBatch, keys: list[Key]) -> Iterator[tuple[Arrays, Arrays]]:
    """The base run's values, and the gradients with each layer's writes dropped: one graph, L backward passes."""
    layers = batch.model.shape.n_layers
    if layers < 2:
        raise ClaimError("graddrop needs a model of two layers or more: it drops each in turn. Use atp.")
    dropping = torch.full((1,), -1)
    run = batch.forward(onward=lambda kind, layer, x: _gated(kind, layer, x, dropping))
    for layer in range(layers):
        dropping.fill_(layer)
        yield run.nodes, run.gradients(keys, again=layer < layers - 1)


def _gated(kind: str, layer: int, value: Tensor, dropping: Tensor) -> Tensor | None:
    return gated(value, dropping, layer) if kind in ("attn", ATTN_NORMED, "mlp") else None


def shared(total: Scores, batch: PatchBatch) -> Scores:
    """Sums over layers as means."""
    layers = batch.model.shape.n_layers
    outside = {kind for kind in total if batch.space.place(kind, 0)[0] in OUTSIDE}
    return {kind: found / (layers if kind in outside else layers - 1) for kind, found in total.items()}


METHOD = Method(
    "mean absolute AtP with each layer's gradient dropped",
    "Kramar et al. 2024 (arXiv 2403.00745), eq. 11-12",
    nodes,
    inside=True,
    magnitude=True,
    caution="a rank, not an effect; with few layers (fewer than 6) it misses indirect effects: read it beside atp",
)
