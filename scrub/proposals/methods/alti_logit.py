"""ALTI-Logit: what attention writes to the logits, traced back to the input tokens that it comes from.

Ferrando, Gallego, Tsiamas and Costa-jussa 2023 (Explaining How Transformers Use Context to Build Predictions, ACL).
At the answer's position T the heads of layer l write `sum_h A_Tj v_j W_O` from the stream at j. Its share of the
logit is its product with the direction that the final norm reads, the norm's scale constant. What stands at j is
itself a mix of tokens: ALTI says of which (Ferrando, Gallego and Costa-jussa 2022, arXiv 2203.04212). After a layer's
attention the stream at i is y_i, in which T_ij came from j (the stream x_i stands in T_ii), and the share of j is

    C_ij = max(0, |y_i|_1 - |y_i - T_ij|_1), each row divided by its sum.

Layers follow one another: R = C_(l-1) ... C_0. A token s has `sum_l sum_j (share of j at layer l) R_js`, and, where
it is the answer's own, what its embedding gives. MLPs mix no positions and are left out, of C as of the sum.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.table import TABLE
from scrub.errors import ClaimError
from scrub.model.block import patterns
from scrub.model.places import plus
from scrub.model.weights import Block
from scrub.proposals.attribute import Scores, over_positions, stacked
from scrub.proposals.forward import Arrays, PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.methods.dla import direct, final_direction


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """What every token gives to the metric on the source run, less on the base run, both by the base run's direction.

    A head has what it writes to the logits by itself, the sum of what it takes from all tokens, as in `dla`. Raises
    ClaimError for models that norm what heads write, which is then no sum over tokens.
    """
    if any(block.post_attn is not None for block in batch.model.blocks):
        raise ClaimError(
            f"alti-logit says nothing of {batch.model.name}, which norms what its heads write: use dla, atp or relp."
        )
    direction = final_direction(batch)
    own = {kind: direct(batch, kind, direction) for kind in asked.kinds if TABLE[kind].is_head}
    if len(own) == len(asked.kinds):
        return own
    toward = batch.at_answer(direction)
    with torch.no_grad():
        found = by_token(batch, batch.source_values, toward) - by_token(batch, batch.base_values, toward)
    tokens = stacked([over_positions(batch, found.unsqueeze(-1))])
    return {kind: own.get(kind, tokens) for kind in asked.kinds}


def by_token(batch: PatchBatch, values: Arrays, direction: Float[Tensor, "row d"]) -> Float[Tensor, "row t"]:
    """What every token of a run gives to the metric through attention, and by its own embedding."""
    rows = torch.arange(len(direction), device=direction.device)
    stream = values["resid", 0]
    found = torch.zeros(stream.shape[:2], dtype=stream.dtype, device=stream.device)
    found[rows, batch.answer] = torch.einsum("rd,rd->r", batch.at_answer(stream), direction)
    traced = torch.eye(stream.shape[1], dtype=stream.dtype, device=stream.device).expand(len(stream), -1, -1)
    for layer, block in enumerate(batch.model.blocks):
        channels = [values[channel, layer] for channel in ("q", "k", "v")]
        shares = patterns(block.attn, channels[0], channels[1], batch.lengths)
        toward = torch.einsum("hed,rd->rhe", block.attn.W_O.to(stream), direction)
        written = torch.einsum("rht,rthe,rhe->rt", shares[rows, :, batch.answer], channels[2], toward)
        found = found + torch.einsum("rj,rjs->rs", written, traced)
        traced = mixing(block, values["resid", layer], shares, channels[2]) @ traced
    return found


def mixing(
    block: Block, x: Float[Tensor, "row t d"], shares: Float[Tensor, "row h t t"], v: Float[Tensor, "row t h e"]
) -> Float[Tensor, "row t t"]:
    """C of a layer: of which positions the stream after its attention is made. One query position at a time."""
    wrote = torch.einsum("rjhe,hed->rjhd", v, block.attn.W_O.to(v))
    found: list[Tensor] = []
    for i in range(x.shape[1]):
        parts = torch.einsum("rhj,rjhd->rjd", shares[:, :, i], wrote)
        parts[:, i] = parts[:, i] + x[:, i]
        whole = plus(parts.sum(1), block.attn.b_O)
        near = whole.abs().sum(-1, keepdim=True) - (whole[:, None] - parts).abs().sum(-1)
        kept = near.clamp(min=0)
        kept[:, i] = torch.where(kept.sum(1) > 0, kept[:, i], 1)  # where nothing is near, it stays what it was
        found.append(kept / kept.sum(1, keepdim=True))
    return torch.stack(found, dim=1)


METHOD = Method(
    "what attention writes to the logits, traced to the tokens that it comes from",
    "ALTI-Logit, Ferrando et al. 2023 (ACL, Explaining How Transformers Use Context to Build Predictions)",
    nodes,
    kinds=("embed", "head"),
    caution="what MLPs write is left out, and patterns are taken as they are; tokens are told apart with at=",
)
