"""Direct logit attribution: what a component writes straight to the logits, the scale of the final norm held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.shape import refuse_normed
from scrub.anatomy.table import TABLE
from scrub.model.block import entering, patterns
from scrub.model.weights import Block
from scrub.proposals.attribute import Scores, over_positions, stacked
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.nodes import BEHIND_NORM, LATENTS
from scrub.proposals.proposal import SourceShare
from scrub.proposals.rules import steps_of
from scrub.proposals.setup import Setup

HEADS = 10  # whose sources are told


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """The direct effect of a node: what it writes differently on the source, read by the base run's final norm.

    Exact for the path straight to the logits where the norm's scale is constant and the metric linear in logits.
    """
    direction = final_direction(batch)
    return {kind: direct(batch, kind, direction) for kind in asked.kinds}


def direct(
    batch: PatchBatch, kind: str, direction: Float[Tensor, "row t d"]
) -> Float[Tensor, "row layer unit column"]:
    """What nodes of a kind write differently on the source, along a direction of the final stream."""
    layers = range(batch.space.extent(kind)[0])
    return stacked(over_positions(batch, _written(batch, kind, layer, direction)) for layer in layers)


def final_direction(batch: PatchBatch) -> Float[Tensor, "row t d"]:
    """The gradient of the metric at the final stream with the scale of the final norm constant."""
    refuse_normed(batch.model.shape, batch.model.name, "direct effects")
    last = "resid", len(batch.model.blocks)
    x = batch.base_values[last].detach().requires_grad_()
    with torch.enable_grad():
        metric = batch.score(batch.at_answer(x), steps_of(("ln",))).sum()
    return torch.autograd.grad(metric, x)[0]


def by_source(batch: PatchBatch) -> Float[Tensor, "row layer head t"]:
    """What every head writes on the base run toward the metric, by the token that it takes it from.

    `A_ts (v_s W_O)` at the answer's position t; over all s it is the head's own contribution, without b_O.
    """
    direction = batch.at_answer(final_direction(batch))
    found: list[Tensor] = []
    for layer, block in enumerate(batch.model.blocks):
        attn = block.attn
        q, k, v = (batch.base_values[channel, layer] for channel in ("q", "k", "v"))
        shares = patterns(attn, q, k, batch.lengths)
        at = shares[torch.arange(len(q), device=q.device), :, batch.answer]
        out = batch.at_answer(batch.base_values["attn", layer])
        toward = torch.einsum("hed,rd->rhe", attn.W_O.to(v), _before_norm(block, out, direction))
        found.append(at * torch.einsum("rthe,rhe->rht", v, toward))
    return torch.stack(found, dim=1)


def shares(setup: Setup, nodes: Sequence[Component]) -> tuple[SourceShare, ...]:
    """What the first heads among `nodes` take from each named position, and from all others: means over rows."""
    data, rows = setup.experiment.data, setup.rows
    named = [slot for slot in map(Slot, data.position_names) if (data.locate(slot)[rows] >= 0).all()]
    layers, heads = setup.model.shape.n_layers, setup.model.shape.n_heads
    total = np.zeros((layers, heads, len(named) + 1))
    for chosen, batch in setup.batches():
        with torch.no_grad():
            found = by_source(batch).double().cpu().numpy()
        elsewhere = np.ones((len(chosen), found.shape[-1]))
        for number, slot in enumerate(named):
            index = data.locate(slot)[rows[chosen]]
            total[..., number] += found[np.arange(len(chosen)), :, :, index].sum(0)
            elsewhere[np.arange(len(chosen)), index] = 0
        total[..., -1] += (found * elsewhere[:, None, None]).sum((0, -1))
    names = [*map(str, named), None]
    first = [node for node in nodes if node.traits.is_head][:HEADS]
    return tuple(
        SourceShare(node, name, float(total[node.layer, node.unit, number] / len(rows)))
        for node in first
        for number, name in enumerate(names)
    )


def _written(batch: PatchBatch, kind: str, layer: int, direction: Tensor) -> Float[Tensor, "row t unit"]:
    if kind in BEHIND_NORM:  # the sum of its heads, whatever norm follows
        return _written(batch, "head", layer, direction).sum(-1, keepdim=True)
    host, at = batch.space.place(kind, layer)
    if TABLE[host].attends:
        direction = _before_norm(batch.model.blocks[at], batch.base_values["attn", at], direction)
    if TABLE[host].is_head:
        direction = torch.einsum("hed,rtd->rthe", batch.model.blocks[at].attn.W_O.to(direction), direction)
    return batch.space.product((kind, layer), batch.base_values, batch.source_values, direction)


def _before_norm(block: Block, out: Float[Tensor, "*batch d"], direction: Float[Tensor, "*batch d"]) -> Tensor:
    """A direction of the stream as heads meet it: before the norm that follows them, its scale constant."""
    if block.post_attn is None:
        return direction
    x = out.detach().requires_grad_()
    with torch.enable_grad():
        added = entering(block, x, steps_of(("ln",)))
    return torch.autograd.grad(added, x, direction)[0]


METHOD = Method(
    "direct effect on the logits, the final norm's scale constant",
    "direct logit attribution, Elhage et al. 2021; Wang et al. 2022 (arXiv 2211.00593)",
    nodes,
    kinds=("embed", "head", "attn", "mlp", "resid", LATENTS),
    shares=shares,
    caution="direct effects alone: what later layers make of a node is not in its score",
)
