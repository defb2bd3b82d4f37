"""Slow estimators as their own papers and codes define them, a row and a node at a time, in plain torch.

Nothing here is shared with `scrub.proposals`: rules are autograd tricks inside an own forward pass, gradients those
of zeros added to what is asked about, and paths are loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from attrs import field, frozen
from torch import Tensor

from scrub.model.weights import Attn, Mlp, Norm, Transformer
from scrub.proposals.forward import PatchBatch

Name = tuple[str, int, int]  # kind, layer, unit: ("head", 1, 3), ("mlp", 0, 0)
Reader = tuple[Name, str]
ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}


def same(x: Tensor) -> Tensor:
    return x


def partly(by: float) -> Callable[[Tensor], Tensor]:
    """A tensor that passes on a part of its gradient."""
    return lambda x: x * by + (x * (1 - by)).detach()


@frozen
class Style:
    """What a pass does to gradients: of scales of norms and of heads' norms, activations, gates, products, q k v."""

    scale: Callable[[Tensor], Tensor] = same
    own_scale: Callable[[Tensor], Tensor] = same
    secant: bool = False
    gate: Callable[[Tensor], Tensor] = same
    product: Callable[[Tensor], Tensor] = same
    qk: Callable[[Tensor], Tensor] = same
    v: Callable[[Tensor], Tensor] = same


PLAIN = Style()
# LXT (`lxt.efficient`): every norm's variance is detached, heads' too; act(x)/x; products and attention halved
ATTNLRP = Style(Tensor.detach, Tensor.detach, True, same, partly(1 / 2), partly(1 / 4), partly(1 / 2))
# its CP-LRP: the gate's input, queries and keys are detached; activations without a gate as above
CPLRP = Style(Tensor.detach, Tensor.detach, True, Tensor.detach, same, Tensor.detach)
# RelP: the norms that read the stream; no rule for attention
RELP = Style(Tensor.detach, same, True, same, partly(1 / 2))


@frozen(eq=False)
class Pass:
    """One row's pass: what nodes are, zeros added to nodes and before readers, what components write, the metric."""

    nodes: dict[Name, Tensor] = field(factory=dict)
    zeros: dict[Name, Tensor] = field(factory=dict)
    read: dict[Reader, Tensor] = field(factory=dict)
    writes: dict[Name, Tensor] = field(factory=dict)
    metric: list[Tensor] = field(factory=list)

    def slopes(self, at: Mapping[Any, Tensor]) -> dict[Any, Tensor]:
        found = torch.autograd.grad(
            self.metric[0], list(at.values()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return dict(zip(at, found, strict=True))


def one_pass(
    model: Transformer, tokens: Tensor, labels: tuple[int, int], style: Style = PLAIN,
    put: Mapping[Name, Tensor] | None = None,
) -> Pass:  # fmt: skip
    """A pass on one row; `put` takes the place of nodes, which cuts off what they were computed from."""
    found, given = Pass(), put or {}

    def node(kind: str, layer: int, unit: int, x: Tensor) -> Tensor:
        name = kind, layer, unit
        value = given.get(name, x)
        found.nodes[name] = value.detach()
        found.zeros[name] = torch.zeros_like(value, requires_grad=True)
        return value + found.zeros[name]

    def read(reader: Reader, stream: Tensor) -> Tensor:
        found.read[reader] = torch.zeros_like(stream, requires_grad=True)
        return stream + found.read[reader]

    t = torch.arange(len(tokens))
    x = node("embed", 0, 0, model.W_E[tokens])
    found.writes["embed", 0, 0] = found.nodes["embed", 0, 0]
    x = x if model.W_pos is None else x + model.W_pos[t]
    for layer, block in enumerate(model.blocks):
        x = node("resid", layer, 0, x)
        written = []
        for head in range(model.shape.n_heads):
            channels = {}
            for channel in "qkv":
                stream = read((("head", layer, head), channel), x)
                made = _channel(block.attn, channel, head, _norm(block.ln1, stream, style.scale), t, style)
                channels[channel] = node(channel, layer, head, made)
            q, k, v = style.qk(channels["q"]), style.qk(channels["k"]), style.v(channels["v"])
            logits = (q @ k.T * block.attn.scale).masked_fill(t[:, None] < t[None], -torch.inf)
            z = node("head", layer, head, logits.softmax(-1) @ v)
            written.append(z @ block.attn.W_O[head])
            found.writes["head", layer, head] = (found.nodes["head", layer, head] @ block.attn.W_O[head]).detach()
        x = x + node("attn", layer, 0, torch.stack(written).sum(0))
        x = x if block.attn.b_O is None else x + block.attn.b_O
        assert isinstance(block.mlp, Mlp)
        assert block.ln2 is not None
        stream = read((("mlp", layer, 0), "input"), x)
        x = x + node("mlp", layer, 0, _mlp(block.mlp, _norm(block.ln2, stream, style.scale), style))
        found.writes["mlp", layer, 0] = found.nodes["mlp", layer, 0]
    x = node("resid", len(model.blocks), 0, x)
    last = _norm(model.ln_final, read((("logits", 0, 0), "input"), x), style.scale)[-1]
    logits = last @ model.W_U + (0 if model.b_U is None else model.b_U)
    found.metric.append(logits[labels[0]] - logits[labels[1]])
    return found


def _norm(n: Norm, x: Tensor, scale: Callable[[Tensor], Tensor]) -> Tensor:
    x = x - x.mean(-1, keepdim=True) if n.kind == "layer" else x
    x = x * scale(1 / ((x**2).mean(-1, keepdim=True) + n.eps).sqrt()) * n.weight
    return x if n.bias is None else x + n.bias


def _channel(attn: Attn, channel: str, head: int, x: Tensor, t: Tensor, style: Style) -> Tensor:
    weight, bias = {"q": (attn.W_Q, attn.b_Q), "k": (attn.W_K, attn.b_K), "v": (attn.W_V, attn.b_V)}[channel]
    own = head * len(weight) // len(attn.W_Q)
    made = x @ weight[own] + (0 if bias is None else bias[own])
    of_heads = {"q": attn.q_norm, "k": attn.k_norm, "v": None}[channel]
    made = made if of_heads is None else _norm(of_heads, made, style.own_scale)
    if attn.rotary is None or channel == "v":
        return made
    cos, sin = attn.rotary.cos[t], attn.rotary.sin[t]
    first, second = made.chunk(2, dim=-1)
    return made * cos + torch.cat((-second, first), dim=-1) * sin


def _mlp(m: Mlp, x: Tensor, style: Style) -> Tensor:
    act, up = ACTS[m.act], x @ m.W_in + (0 if m.b_in is None else m.b_in)

    def passed(x: Tensor) -> Tensor:
        return x * (act(x) / x).detach() if style.secant else act(x)

    if m.W_gate is None:
        hidden = passed(up)
    else:
        hidden = style.product(passed(style.gate(x @ m.W_gate + (0 if m.b_gate is None else m.b_gate))) * up)
    return hidden @ m.W_out + (0 if m.b_out is None else m.b_out)


@frozen(eq=False)
class Pair:
    """A row's base and source, and passes between them."""

    model: Transformer
    tokens: tuple[Tensor, Tensor]
    labels: tuple[int, int]
    style: Style

    def run(self, put: Mapping[Name, Tensor] | None = None) -> Pass:
        return one_pass(self.model, self.tokens[0], self.labels, self.style, put)

    @property
    def ends(self) -> tuple[Pass, Pass]:
        base, source = (one_pass(self.model, tokens, self.labels) for tokens in self.tokens)
        return base, source

    def nodes(self, runs: Iterable[tuple[float, Pass]]) -> dict[Name, Tensor]:
        """The difference times the weighted sum of gradients."""
        base, source = self.ends
        total: dict[Name, Tensor] = {}
        for weight, run in runs:
            for name, slope in run.slopes(run.zeros).items():
                some = weight * ((source.nodes[name] - base.nodes[name]) * slope).sum()
                total[name] = some + total.get(name, 0)
        return total

    def edges(self, runs: Iterable[tuple[float, Pass]]) -> dict[tuple[Name, Reader], Tensor]:
        """What a sender writes differently times the weighted sum of gradients at the reader."""
        base, source = self.ends
        total: dict[tuple[Name, Reader], Tensor] = {}
        for weight, run in runs:
            for reader, slope in run.slopes(run.read).items():
                for sender in base.writes:
                    if _time(sender) < _time(reader[0]):
                        some = weight * ((source.writes[sender] - base.writes[sender]) * slope).sum()
                        total[sender, reader] = some + total.get((sender, reader), 0)
        return total

    def along_inputs(self, ks: Iterable[int], m: int) -> list[tuple[float, Pass]]:
        """EAP-IG (inputs): the embeddings at `source + k/m (base - source)`, each run's weight 1/m."""
        base, source = (end.nodes["embed", 0, 0] for end in self.ends)
        return [(1 / m, self.run({("embed", 0, 0): source + k / m * (base - source)})) for k in ks]

    def along_activations(self, m: int) -> list[tuple[float, Pass]]:
        """EAP-IG (activations): one layer's write at `k/m base + (1 - k/m) source`, k = 1..m, over all runs."""
        base, source = self.ends
        layers, heads = range(len(self.model.blocks)), range(self.model.shape.n_heads)
        moving: list[list[Name]] = [[("embed", 0, 0)]]
        for layer in layers:
            moving += [[("head", layer, head) for head in heads], [("mlp", layer, 0)]]
        runs: list[Pass] = []
        for names in moving:
            for k in range(1, m + 1):
                at = k / m
                runs.append(self.run({n: at * base.nodes[n] + (1 - at) * source.nodes[n] for n in names}))
        return [(1 / len(runs), run) for run in runs]


def pairs(batch: PatchBatch, style: Style = PLAIN) -> list[Pair]:
    """The batch's rows, without padding."""
    found: list[Pair] = []
    for i, row in enumerate(batch.rows):
        length = int(batch.lengths[i])
        a, b = (int(ids[row, 0]) for ids in batch.arguments.ids)
        found.append(Pair(batch.model, (batch.base[i, :length], batch.source[i, :length]), (a, b), style))
    return found


def _time(name: Name) -> float:
    kind, layer, _ = name
    return {"embed": -1.0, "head": 2.0 * layer, "mlp": 2.0 * layer + 1, "logits": 1e9}[kind]
