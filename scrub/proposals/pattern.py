"""What queries and keys of the source make of an attention pattern: the softmax recomputed, not linearised.

Kramar et al. 2024 (arXiv 2403.00745), eq. 6-10. With A the pattern and G the gradient of the metric at it,

    query at t:  sum_s (A[q_t of the source]_ts - A_ts) G_ts
    key at t:    sum_u sum_s (A[k_t of the source]_us - A_us) G_us = sum_u (A'_ut - A_ut) (G_ut - M_ut)

where A'_ut = sigmoid(S'_ut - log sum_{s != t} exp S_us) and M_ut is the mean of G_us over s != t under A.
"""

from __future__ import annotations

import torch
from attrs import frozen
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from scrub.model.block import positions_of, scoring
from scrub.model.layers import scores, some_key, visible, with_sinks
from scrub.proposals.forward import Arrays, PatchBatch

Pattern = Float[Tensor, "row h q t"]
PerNode = Float[Tensor, "row t h"]


@frozen(eq=False)
class Change:
    """By how much the pattern of a layer changes where queries or keys are the source's; no gradient enters here.

    `queries` and `keys` are whole: every position patched at once. `key_alone[row h q t]` is the new weight of key
    t at query q where that key alone is patched. Where a layer has sinks, they are one key more, the last.
    """

    base: Pattern
    queries: Pattern
    keys: Pattern
    key_alone: Pattern
    scores: Pattern
    seen: Bool[Tensor, "row 1 q t"]


def change_of(batch: PatchBatch, values: Arrays, layer: int, alone: bool) -> Change:
    """The patterns of one layer; the new weights of single keys where nodes are positions (`alone`)."""
    attn = batch.model.blocks[layer].attn
    at = positions_of(values["q", layer])
    mask, how = visible(attn, at, at, batch.lengths), scoring(attn, at, at)
    q, k = values["q", layer].detach(), values["k", layer].detach()
    new_q, new_k = batch.source_values["q", layer], batch.source_values["k", layer]
    own, keys = with_sinks(scores(q, k, mask, how), how), with_sinks(scores(q, new_k, mask, how), how)
    queries, seen = with_sinks(scores(new_q, k, mask, how), how), some_key(mask)[:, None]
    seen = pad(seen, (0, own.shape[-1] - seen.shape[-1]))  # nothing is put into a sink
    single = torch.sigmoid(keys - _others(own)).masked_fill(~seen, 0.0) if alone else own
    return Change(own.softmax(-1), queries.softmax(-1), keys.softmax(-1), single, own, seen)


def gradient_at(batch: PatchBatch, values: Arrays, z_gradient: Tensor, layer: int) -> Pattern:
    """The gradient of the metric at a pattern, from the one at z: `dL/dA_ts = dL/dz_t . v_s`."""
    v = values["v", layer].detach()
    found = torch.matmul(z_gradient.transpose(1, 2), v.permute(0, 2, 3, 1))
    return found if batch.model.blocks[layer].attn.sinks is None else pad(found, (0, 1))


def query_effects(change: Change, gradient: Pattern) -> PerNode:
    return ((change.queries - change.base) * gradient).sum(-1).transpose(1, 2)


def joint_key_effects(change: Change, gradient: Pattern) -> Float[Tensor, "row h"]:
    """All keys of a head patched at once: what a key node over every position is."""
    return ((change.keys - change.base) * gradient).sum((-1, -2))


def key_effects(change: Change, gradient: Pattern) -> PerNode:
    """Each position's key patched alone, in closed form."""
    rest = _rest_mean(change, gradient)
    found = (change.key_alone - change.base) * (gradient - rest)
    return found.masked_fill(~change.seen, 0.0).sum(-2)[..., : found.shape[-2]].transpose(1, 2)


def _largest(scores: Pattern) -> tuple[Tensor, Pattern]:
    """Each query's strongest key, and the scores without it: the only entry whose share may exceed a half."""
    first = scores.argmax(-1, keepdim=True)
    return first, scores.scatter(-1, first, -torch.inf)


def _others(scores: Pattern) -> Pattern:
    """log sum exp over the other keys: by subtraction, but for the strongest key, which is summed anew."""
    total = scores.logsumexp(-1, keepdim=True)
    share = (scores - total).exp()
    first, without = _largest(scores)
    return (total + torch.log1p(-share.clamp(max=0.75))).scatter(-1, first, without.logsumexp(-1, keepdim=True))


def _rest_mean(change: Change, gradient: Pattern) -> Pattern:
    """The mean gradient over the other keys, weighted by their shares."""
    a = change.base
    mean = ((a * gradient).sum(-1, keepdim=True) - a * gradient) / (1 - a).clamp(min=0.25)
    first, without = _largest(change.scores)
    total = without.logsumexp(-1, keepdim=True)
    share = torch.where(torch.isfinite(total), (without - total).exp(), torch.zeros_like(without)).nan_to_num(0.0)
    return mean.scatter(-1, first, (share * gradient).sum(-1, keepdim=True))
