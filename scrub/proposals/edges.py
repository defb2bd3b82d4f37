"""Edge estimates: what a component writes differently, times the gradient at what a channel reads of the stream.

Every query head has its own q, k and v, grouped or not. The stream is read through a norm: the gradient is taken
before it, with the norm's own derivative (or, under the rule `ln`, with its scale constant); the same holds of
heads' own norms and the rule `qknorm`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from attrs import evolve, frozen
from jaxtyping import Bool, Float
from torch import Tensor

from scrub.anatomy.names import EMBED, LOGITS, Component
from scrub.anatomy.shape import refuse_normed
from scrub.anatomy.table import CHANNELS
from scrub.model.block import attention_reads, positions_of, summed_heads
from scrub.model.layers import Normed, Steps, expand, linear, matrices, norm, project, turn, turns
from scrub.model.places import beside
from scrub.model.weights import Attn, Block, Norm, Transformer
from scrub.proposals.forward import Arrays, Forward, Key, PatchBatch
from scrub.proposals.rules import Rules, steps_of

SUMMED = 0.125  # share of the memory for the gradients of several runs
Reader = tuple[Component, str]  # a component and its channel
AtReaders = tuple[list[Reader], Float[Tensor, "row reader t d"]]  # gradients at what they read of the stream


@frozen(eq=False)
class Edges:
    """Estimates for every sender and reader; where the sender is written too late there is no edge, and 0."""

    senders: tuple[Component, ...]
    readers: tuple[Reader, ...]
    scores: Float[Tensor, "row sender reader"]
    parallel: bool

    @property
    def exist(self) -> Bool[np.ndarray, "sender reader"]:
        """Which senders are read by which readers at all."""
        return np.array([[_feeds(s, r, self.parallel) for r, _ in self.readers] for s in self.senders])


@frozen(eq=False)
class Senders:
    """What components write differently on the source than on the base."""

    components: tuple[Component, ...]
    delta: Float[Tensor, "row sender t d"]


def at_base_edges(batch: PatchBatch, rules: Rules = ()) -> Edges:
    """Edge attribution patching with the gradients of the base run under some rules."""
    return edge_scores(batch, batch.forward(steps_of(rules)), rules)


def edge_scores(batch: PatchBatch, run: Forward, rules: Rules, senders: Senders | None = None) -> Edges:
    """The estimates of all edges, or of those of some senders, from the gradients of one run."""
    refuse_normed(batch.model.shape, batch.model.name, "estimates of edges")
    sent = _entering(batch, run, senders_between(batch) if senders is None else senders, "ln" in rules)
    return _contracted(batch, sent, reader_gradients(batch, run, rules))


def mean_scores(batch: PatchBatch, runs: Iterable[Forward], rules: Rules) -> Edges:
    """The mean of the estimates over runs: of their gradients, which are contracted once where memory holds them.

    So they are wherever what enters the stream is the same in all runs, which a norm behind the heads is not.
    """
    refuse_normed(batch.model.shape, batch.model.name, "estimates of edges")
    if not _contracts_once(batch):
        sent = senders_between(batch)
        found = [edge_scores(batch, run, rules, sent) for run in runs]
        return summed(found, 1 / len(found))
    total, read = _mean_gradients(batch, runs, rules)
    return _contracted_by_sender(batch, total, read)


def _mean_gradients(
    batch: PatchBatch, runs: Iterable[Forward], rules: Rules
) -> tuple[Float[Tensor, "row reader t d"], list[Reader]]:
    """The mean of the gradients over runs, and the readers in the order in which they read.

    It is one array from the start: what autograd frees lies in pieces, between which an allocator finds no room.
    """
    like, read, count = batch.base_values["embed", 0], list[Reader](), 0
    total = like.new_zeros(len(like), len(readers_of(batch.model)), *like.shape[1:])
    for run in runs:
        gradients, read, count = reader_gradients(batch, run, rules), [], count + 1
        del run  # its pass: the next one is made before this name is given away
        with torch.no_grad():
            for found, gradient in gradients:
                total[:, len(read) : len(read) + len(found)].add_(gradient)
                read += found
        del gradients
    return total.div_(max(count, 1)), read


def _contracted_by_sender(batch: PatchBatch, total: Float[Tensor, "row reader t d"], read: list[Reader]) -> Edges:
    """`_contracted` where the gradients at all readers are known: what is sent is made for one writer at a time."""
    listed, parallel, columns = readers_of(batch.model), batch.model.shape.parallel, dict[Reader, int]()
    columns.update((reader, i) for i, reader in enumerate(listed))
    index = torch.tensor([columns[reader] for reader in read], device=total.device)
    parts: list[Edges] = []
    with torch.no_grad():
        for key in writers_of(batch.model):
            sent = senders_between(batch, key)
            # whoever reads it reads later than all who do not
            first = next(i for i, (c, _) in enumerate(read) if _feeds(sent.components[0], c, parallel))
            scores = total.new_zeros(len(total), len(sent.components), len(listed))
            scores[:, :, index[first:]] = sent.delta.flatten(2) @ total[:, first:].flatten(2).transpose(1, 2)
            parts.append(Edges(sent.components, listed, scores, parallel))
    return summed(parts, 1.0)


def _contracts_once(batch: PatchBatch) -> bool:
    """Whether gradients of all runs are summed before they are contracted."""
    model = batch.model
    size = len(readers_of(model)) * batch.base_values["embed", 0].nbytes
    return not model.shape.post_norms and size <= model.memory.share(SUMMED)


def reader_gradients(batch: PatchBatch, run: Forward, rules: Rules) -> Iterator[AtReaders]:
    """The gradients of a run at what channels read of the stream, those of one layer at a time."""
    return _at_readers(batch, run.nodes, run.gradients(_keys(batch.model)), rules)


def _contracted(batch: PatchBatch, sent: Senders, at_readers: Iterable[AtReaders]) -> Edges:
    """What senders write differently times the gradients at readers, summed over positions."""
    listed, parallel = readers_of(batch.model), batch.model.shape.parallel
    column = {reader: i for i, reader in enumerate(listed)}
    scores = sent.delta.new_zeros(len(batch.rows), len(sent.components), len(listed))
    with torch.no_grad():
        for found, gradient in at_readers:
            before = [i for i, c in enumerate(sent.components) if _feeds(c, found[0][0], parallel)]
            if before:
                known = sent.delta[:, : before[-1] + 1]  # senders are in the order in which they write
                values = torch.matmul(known.flatten(2), gradient.flatten(2).transpose(1, 2))
                index = torch.tensor([column[reader] for reader in found], device=scores.device)
                scores[:, : before[-1] + 1, index] = values
    return Edges(sent.components, listed, scores, parallel)


def summed(parts: Iterable[Edges], factor: float) -> Edges:
    """The sum of estimates of the same edges, or of those of different senders, times a factor."""
    found: dict[tuple[Component, ...], Edges] = {}
    for part in parts:
        known = found.get(part.senders)
        scores = part.scores * factor if known is None else known.scores + part.scores * factor
        found[part.senders] = evolve(part, scores=scores)
    listed = list(found.values())
    senders = tuple(c for part in listed for c in part.senders)
    return evolve(listed[0], senders=senders, scores=torch.cat([part.scores for part in listed], dim=1))


def readers_of(model: Transformer) -> tuple[Reader, ...]:
    """Every channel that reads, in the order of the model."""
    heads = range(model.shape.n_heads)
    found: list[Reader] = []
    for layer, block in enumerate(model.blocks):
        found += [(Component.for_head(layer, head), channel) for head in heads for channel in CHANNELS]
        found += [] if block.mlp is None else [(Component.for_mlp(layer), "input")]
    return (*found, (LOGITS, "input"))


def writers_of(model: Transformer) -> tuple[Key, ...]:
    """The embedding, the heads of each layer and its MLP, in the order of writing."""
    found: list[Key] = [("embed", 0)]
    for layer, block in enumerate(model.blocks):
        found += [("attn", layer)] if block.mlp is None else [("attn", layer), ("mlp", layer)]
    return tuple(found)


def senders_between(batch: PatchBatch, only: Key | None = None) -> Senders:
    """What the embedding, every head and MLP write differently, or those of `only`, in the order of writing."""
    base, source = batch.base_values, batch.source_values

    def change(kind: str, layer: int) -> Tensor:
        return source[kind, layer] - base[kind, layer]

    parts: list[tuple[tuple[Component, ...], Tensor]] = []
    if only in (None, ("embed", 0)):
        parts.append(((EMBED,), change("embed", 0).unsqueeze(1)))
    for layer, block in enumerate(batch.model.blocks):
        if only in (None, ("attn", layer)):
            heads = tuple(Component.for_head(layer, head) for head in range(batch.model.shape.n_heads))
            wrote = change("head", layer)
            parts.append((heads, torch.einsum("rthe,hed->rhtd", wrote, block.attn.W_O.to(wrote))))
        if block.mlp is not None and only in (None, ("mlp", layer)):
            parts.append(((Component.for_mlp(layer),), change("mlp", layer).unsqueeze(1)))
    return Senders(tuple(c for some, _ in parts for c in some), torch.cat([delta for _, delta in parts], dim=1))


def _entering(batch: PatchBatch, run: Forward, sent: Senders, constant: bool) -> Senders:
    """The changes as they enter the stream: those of heads through the norm that follows them, where there is one."""
    if not batch.model.shape.post_norms:
        return sent
    found = sent.delta.clone()
    for layer, block in enumerate(batch.model.blocks):
        mine = [i for i, c in enumerate(sent.components) if c.traits.attends and c.layer == layer]
        if mine and block.post_attn is not None:
            out = summed_heads(block, run.nodes["attn", layer].detach())
            found[:, mine] = change_through_norm(block.post_attn, out.unsqueeze(1), found[:, mine], constant)
    return evolve(sent, delta=found)


def _feeds(sender: Component, reader: Component, parallel: bool) -> bool:
    """Whether a reader reads what a sender writes. Heads write before their layer's MLP reads, unless parallel."""
    if reader.traits.is_output or sender.traits.given:
        return True
    assert sender.layer is not None
    assert reader.layer is not None
    if sender.layer != reader.layer:
        return sender.layer < reader.layer
    return sender.traits.attends and reader.traits.local and not parallel


def _keys(model: Transformer) -> list[Key]:
    layers = range(len(model.blocks))
    mlps = [("mlp_input", layer) for layer in layers if model.blocks[layer].mlp is not None]
    return [*((c, layer) for layer in layers for c in CHANNELS), *mlps, ("resid", len(model.blocks))]


def _at_readers(batch: PatchBatch, nodes: Arrays, gradients: Arrays, rules: Rules) -> Iterator[AtReaders]:
    """The gradients at what channels read of the stream, those of one layer at a time."""
    heads = range(batch.model.shape.n_heads)
    for layer, block in enumerate(batch.model.blocks):
        stream = nodes["resid", layer].detach()
        for channel in CHANNELS:
            found = [(Component.for_head(layer, head), channel) for head in heads]
            yield found, _at_stream(block, channel, stream, gradients[channel, layer], rules)
        if block.mlp is not None:
            yield [(Component.for_mlp(layer), "input")], gradients["mlp_input", layer].unsqueeze(1)
    yield [(LOGITS, "input")], gradients["resid", len(batch.model.blocks)].unsqueeze(1)


def _at_stream(
    block: Block, channel: str, stream: Float[Tensor, "row t d"], gradient: Float[Tensor, "row t h e"], rules: Rules
) -> Float[Tensor, "row h t d"]:
    """The gradient at the stream that a channel reads, one for each query head."""
    attn, ln = block.attn, block.ln1
    weight = matrices(attn, channel)
    if weight is None:
        return _by_autograd(block, channel, stream, gradient, steps_of(rules))
    weight = weight.to(stream)
    if channel != "q":
        weight = expand(attn, weight.transpose(0, 1)).transpose(0, 1)
    if turns(attn, channel):
        gradient = _before_turning(attn, channel, norm(ln, stream), gradient, steps_of(rules).own)
    return through_norm(ln, stream, weight, gradient, "ln" in rules)


def _by_autograd(block: Block, channel: str, stream: Tensor, gradient: Tensor, steps: Steps) -> Tensor:
    """The same, where what one head reads is not its own matrix times the normed stream."""
    found: list[Tensor] = []
    for head in range(gradient.shape[2]):
        x = stream.detach().requires_grad_()
        with torch.enable_grad():
            read = attention_reads(block, x, steps)
            made = project(block.attn, channel, read, None, positions_of(x), steps.own)
            own = (made if channel == "q" else expand(block.attn, made))[:, :, head]
        found.append(torch.autograd.grad(own, x, gradient[:, :, head])[0])
    return torch.stack(found, dim=1)


def _before_turning(attn: Attn, channel: str, read: Tensor, gradient: Tensor, normed: Normed) -> Tensor:
    positions = torch.arange(read.shape[1], device=read.device).expand(read.shape[:2])
    raw = linear(attn, channel, read, None)
    raw = (raw if channel == "q" else expand(attn, raw)).requires_grad_()
    with torch.enable_grad():
        turned = turn(attn, channel, raw, positions, normed)
    return torch.autograd.grad(turned, raw, gradient)[0]


def change_through_norm(
    n: Norm, x: Float[Tensor, "*#batch d"], change: Float[Tensor, "*batch d"], constant: bool
) -> Float[Tensor, "*batch d"]:
    """How a norm's value at x changes with x, to first order; `constant` takes its scale for one."""
    if n.kind != "none":
        if n.kind == "layer":
            x, change = (part - part.mean(-1, keepdim=True) for part in (x, change))
        scale = (x.square().mean(-1, keepdim=True) + n.eps).rsqrt()
        change = change * scale
        if not constant:
            change = change - x * scale * (change * x * scale).mean(-1, keepdim=True)
    return change if n.weight is None else change * beside(change, n.weight)


def through_norm(
    ln: Norm, x: Float[Tensor, "row t d"], weight: Float[Tensor, "h d e"], gradient: Float[Tensor, "row t h e"],
    constant: bool,
) -> Float[Tensor, "row h t d"]:  # fmt: skip
    """From gradients after a norm of x and a linear map to those at x: a scale, and one rank-one update.

    Weight and centring of the norm are folded into the map. `constant` takes the scale for one.
    """
    weight = weight if ln.weight is None else weight * beside(weight, ln.weight)[:, None]
    if ln.kind == "none":
        return torch.einsum("rthe,hde->rhtd", gradient, weight)
    if ln.kind == "layer":
        x, weight = x - x.mean(-1, keepdim=True), weight - weight.mean(1, keepdim=True)
    scale = (x.square().mean(-1, keepdim=True) + ln.eps).rsqrt()
    found = torch.einsum("rthe,hde->rhtd", gradient * scale.unsqueeze(-1), weight)
    if constant:
        return found
    unit = (x * scale).unsqueeze(1)
    along = (found * unit).mean(-1, keepdim=True)
    return torch.addcmul(found, unit, along, value=-1)
