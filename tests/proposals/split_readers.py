"""A slow pass in which every channel of every head, every MLP and the logits read through a leaf of their own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import field, frozen
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.model.layers import kv_head, mlp, project, visible
from scrub.model.weights import Attn, Norm
from scrub.proposals.forward import Key, PatchBatch

Reader = tuple[Component, str]


@frozen(eq=False)
class Split:
    """What one pass found: the metric of every row, the leaves before each reader, and what components wrote."""

    leaves: dict[Reader, Tensor] = field(factory=dict)
    writes: dict[Component, Tensor] = field(factory=dict)
    metric: list[Tensor] = field(factory=list)

    def scores(self, deltas: Mapping[Component, Tensor], parallel: bool) -> dict[tuple[Component, Reader], Tensor]:
        """Every edge's [row]: what the sender writes differently times the gradient at the reader's leaf."""
        readers = list(self.leaves)
        leaves = [self.leaves[reader] for reader in readers]
        found = torch.autograd.grad(self.metric[0].sum(), leaves, allow_unused=True, materialize_grads=True)
        return {
            (sender, reader): (delta * gradient).sum((1, 2))
            for reader, gradient in zip(readers, found, strict=True)
            for sender, delta in deltas.items()
            if precedes(sender, reader[0], parallel)
        }


def precedes(sender: Component, reader: Component, parallel: bool) -> bool:
    """Whether a sender has written when a reader reads: heads of a layer write before its MLP reads, or after."""

    def when(c: Component, writes: bool) -> float:
        if c.kind in ("embed", "logits"):
            return -1.0 if c.kind == "embed" else 1e9
        assert c.layer is not None
        late = c.kind == "mlp" and (writes or not parallel)
        return 4 * c.layer + (2 if late else 0) + writes

    return when(sender, True) < when(reader, False)


def split_pass(
    batch: PatchBatch, start: Tensor | None = None, constant: bool = False, put: Mapping[Key, Tensor] | None = None
) -> Split:
    """A pass on the base rows. `constant` takes the scale of norms for one; `put` replaces what a layer writes."""
    model, found, put = batch.model, Split(), put or {}
    positions = torch.arange(batch.base.shape[1]).expand(batch.base.shape)

    def read(reader: Reader, stream: Tensor, n: Norm) -> Tensor:
        leaf = found.leaves.setdefault(reader, torch.zeros_like(stream, requires_grad=True))
        return _norm(n, stream + leaf, constant)

    embed = model.W_E[batch.base] if start is None else start
    found.writes[Component("embed")] = embed
    x = embed if model.W_pos is None else embed + model.W_pos[: embed.shape[1]]
    for layer, block in enumerate(model.blocks):
        attn, heads = block.attn, []
        seen = visible(attn, positions, positions, batch.lengths)
        for head in range(model.shape.n_heads):
            of = {}
            for channel in "qkv":
                own = head if channel == "q" else kv_head(attn, head)
                normed = read((Component("head", layer, head), channel), x, block.ln1)
                of[channel] = project(attn, channel, normed, [own], positions)[:, :, 0]
            heads.append(_head(attn, head, of["q"], of["k"], of["v"], seen))
            found.writes[Component("head", layer, head)] = heads[-1]
        out = put.get(("attn", layer), torch.stack(heads).sum(0))
        after = x + out if attn.b_O is None else x + out + attn.b_O
        if block.mlp is not None:
            assert block.ln2 is not None
            normed = read((Component("mlp", layer), "input"), x if block.parallel else after, block.ln2)
            found.writes[Component("mlp", layer)] = written = mlp(block.mlp, normed)
            after = after + put.get(("mlp", layer), written)
        x = after
    rows = torch.arange(len(x))
    last = read((Component("logits"), "input"), x, model.ln_final)[rows, batch.answer]
    logits = last @ model.W_U + (0 if model.b_U is None else model.b_U)
    first, second = (ids[torch.from_numpy(batch.rows), 0] for ids in batch.arguments.ids)
    found.metric.append(logits[rows, first] - logits[rows, second])
    return found


def _norm(n: Norm, x: Tensor, constant: bool) -> Tensor:
    if n.kind == "none":
        return x
    centred = x - x.mean(-1, keepdim=True) if n.kind == "layer" else x
    scale = ((centred**2).mean(-1, keepdim=True) + n.eps) ** -0.5
    out = centred * (scale.detach() if constant else scale)
    out = out if n.weight is None else out * n.weight
    return out if n.bias is None else out + n.bias


def _head(attn: Attn, head: int, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    logits = (q @ k.transpose(1, 2)) * attn.scale
    some = seen | ~seen.any(-1, keepdim=True)
    weights = logits.masked_fill(~some, -torch.inf).exp()
    sink = 0.0 if attn.sinks is None else attn.sinks[head].exp()
    return weights / (weights.sum(-1, keepdim=True) + sink) @ v @ attn.W_O[head]
