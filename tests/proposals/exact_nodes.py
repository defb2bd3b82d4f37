"""Small random fp64 transformers of four shapes, ragged batches of them, and passes whose bends are frozen.

A `frozen` pass keeps scales, patterns and slopes of the base run, so that it is linear in every node but q and k.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from attrs import frozen as value
from torch import Tensor

from scrub.anatomy.shape import Shape
from scrub.claims.dataset import Dataset
from scrub.claims.metric import NamedMetric, parse_metric
from scrub.metrics import Arguments
from scrub.model.layers import ACTIVATIONS, Scoring, Steps, expand, pattern, unembed, visible
from scrub.model.trace import trace
from scrub.model.weights import Attn, Block, Latent, Mlp, Norm, Rotary, Transformer
from scrub.proposals.forward import Passes, PatchBatch
from scrub.proposals.methods import Asked, find
from scrub.proposals.nodes import KINDS, extent, node_of
from scrub.proposals.patching import PlacedNode, effects

F64 = torch.float64
D, HEADS, E, M, V, N_CTX = 8, 4, 4, 10, 13, 10
LENGTHS = (7, 5, 6)
OF_KIND = {"q": "q", "k": "k_read", "v": "v_read", "head": "z", "attn": "attn_out", "mlp": "mlp_out"}
OF_KIND |= {"neuron": "neurons", "resid": "resid_pre", "embed": "embed", "mlp_input": "mlp_input"}


@value
class Form:
    """What tells one architecture from another."""

    norm: str = "layer"
    positions: str = "learned"
    n_kv: int = HEADS
    mlp: bool = True
    act: str = "gelu_tanh"
    gated: bool = False
    parallel: bool = False
    biased: bool = True
    qk: float = 0.6  # the size of W_Q and W_K
    window: int | None = None
    causal: bool = True
    after: bool = False  # norms after attention and MLP as well
    joint: bool = False  # one norm for the queries of all heads, and one for their keys
    sinks: bool = False  # a key more, without a value
    latent: bool = False  # queries, and keys and values, are made of latents of the stream


FORMS = {
    "gpt2": Form(),
    "llama": Form("rms", "rotary", n_kv=2, act="silu", gated=True, biased=False),
    "neox": Form(positions="rotary", act="gelu", parallel=True),
    "attention only": Form(mlp=False),
}
LATER = {
    "norms after": Form("layer", after=True),
    "joint head norms": Form("rms", "rotary", n_kv=2, biased=False, after=True, joint=True),
}


def made(form: Form, layers: int = 3, seed: int = 0) -> Transformer:
    """A random model in which every weight, bias and norm matters."""
    generator = torch.Generator().manual_seed(seed)

    usual = 0.25 if form.norm == "none" else 0.5  # without norms, larger weights would let values explode

    def weight(*shape: int, scale: float = usual) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=F64) * scale

    def bias(*shape: int) -> Tensor | None:
        return weight(*shape) if form.biased else None

    def norm() -> Norm:
        if form.norm == "none":
            return Norm("none")
        return Norm(form.norm, 1 + weight(D, scale=0.3), bias(D) if form.norm == "layer" else None)

    def latent() -> Latent:  # as wide as the stream, its last two coordinates not normed
        return Latent(weight(D, D), Norm("rms", 1 + weight(D - 2, scale=0.3)), bias(D))

    def block() -> Block:
        attn = Attn(
            weight(HEADS, D, E, scale=form.qk), weight(form.n_kv, D, E, scale=form.qk), weight(form.n_kv, D, E),
            weight(HEADS, E, D), bias(HEADS, E), bias(form.n_kv, E), bias(form.n_kv, E), bias(D), scale=E**-0.5,
            causal=form.causal, window=form.window, rotary=turning() if form.positions == "rotary" else None,
        )  # fmt: skip
        if form.joint:
            norms = [Norm("rms", 1 + weight(heads * E, scale=0.3)) for heads in (HEADS, form.n_kv)]
            attn = attrs.evolve(attn, q_norm=norms[0], k_norm=norms[1])
        if form.sinks:
            attn = attrs.evolve(attn, sinks=weight(HEADS, scale=1.0))
        if form.latent:
            attn = attrs.evolve(attn, q_latent=latent(), kv_latent=latent())
        gate = weight(D, M) if form.gated else None
        mlp = Mlp(weight(D, M), weight(M, D), form.act, bias(M), bias(D), gate, bias(M) if form.gated else None)
        if not form.mlp:
            return Block(norm(), attn)
        return Block(norm(), attn, norm(), mlp, form.parallel, *([norm(), norm()] if form.after else []))

    shape = Shape(
        "random", layers, HEADS, form.n_kv, D, E, M if form.mlp else 0, V, N_CTX, form.positions, form.parallel,
        form.causal, form.gated, form.after,
    )  # fmt: skip
    places = weight(N_CTX, D, scale=1.0) if form.positions == "learned" else None
    blocks = tuple(block() for _ in range(layers))
    return Transformer(shape, weight(V, D, scale=1.0), places, blocks, norm(), weight(D, V), bias(V), name="random")


def turning() -> Rotary:
    """Half of each head's coordinates turn."""
    angles = torch.arange(N_CTX, dtype=F64)[:, None] * torch.tensor([0.7], dtype=F64)
    return Rotary(angles.cos().repeat(1, 2), angles.sin().repeat(1, 2))


def model_of(name: str, layers: int = 3, **changes: Any) -> Transformer:
    return made(attrs.evolve((FORMS | LATER)[name], **changes), layers)


def ungrouped(model: Transformer) -> Transformer:
    """The same function, keys and values written out for every query head."""

    def apart(block: Block) -> Block:
        attn = block.attn
        wide = {name: expand(attn, getattr(attn, name).transpose(0, 1)).transpose(0, 1) for name in ("W_K", "W_V")}
        return attrs.evolve(block, attn=attrs.evolve(attn, **wide))

    shape = attrs.evolve(model.shape, n_kv_heads=HEADS)
    return attrs.evolve(model, shape=shape, blocks=tuple(map(apart, model.blocks)))


@value(eq=False)
class Text:
    """Rows of several lengths with counterfactuals of the same lengths, and the labels of both answers."""

    base: tuple[tuple[int, ...], ...]
    source: tuple[tuple[int, ...], ...]
    labels: tuple[tuple[int, int], ...]


def text(lengths: Sequence[int] = LENGTHS, vocabulary: int = V, seed: int = 3) -> Text:
    """Random rows; base and source differ at every position."""
    rng = np.random.default_rng(seed)
    base = [rng.integers(0, vocabulary, n) for n in lengths]
    source = [(row + rng.integers(1, vocabulary, len(row))) % vocabulary for row in base]
    labels = [rng.choice(vocabulary, 2, replace=False).tolist() for _ in lengths]
    both = [tuple(tuple(row.tolist()) for row in rows) for rows in (base, source)]
    return Text(both[0], both[1], tuple((a, b) for a, b in labels))


def batch_of(
    model: Transformer,
    given: Text | None = None,
    *,
    each: bool = False,
    pick: Sequence[int] | None = None,
    back: int = 0,
    metric: str = "logit_diff(a, b)",
    own_is_base: bool = True,
) -> PatchBatch:
    """Some of the rows, right-padded, read `back` positions before their ends; a column for `each` position."""
    told = text() if given is None else given
    rows = range(len(told.base)) if pick is None else pick
    lengths = torch.tensor([len(told.base[i]) for i in rows])
    width = int(lengths.max())
    base, source = (
        torch.tensor([(*of[i], *[0] * (width - len(of[i]))) for i in rows]) for of in (told.base, told.source)
    )
    data = Dataset.from_rows(
        {"tokens": row, "columns": {"a": a, "b": b}} for row, (a, b) in zip(told.base, told.labels, strict=True)
    )
    parsed = parse_metric(metric)
    assert isinstance(parsed, NamedMetric)
    real = (torch.arange(width) < lengths[:, None]).to(model.dtype)
    columns = torch.diag_embed(real) if each else real[:, :, None]
    return PatchBatch(
        model, parsed, Arguments.of(parsed, data, None, torch.device("cpu")), np.array(list(rows)), base, source,
        lengths, lengths - 1 - back, columns, not each, own_is_base, Passes(),
    )  # fmt: skip


def kinds_of(model: Transformer) -> tuple[str, ...]:
    """The kinds of nodes that a model has any of."""
    return tuple(kind for kind in KINDS if extent(kind, model.shape)[0])


def scores(batch: PatchBatch, method: str, kinds: Sequence[str] | None = None, **told: Any) -> dict[str, Tensor]:
    """What a method estimates, by its own rules where none are given."""
    found = find(method)
    known = [kind for kind in kinds_of(batch.model) if kind in found.kinds]
    wanted = tuple(known if kinds is None else kinds)
    return found.nodes(batch, Asked(wanted, told.pop("rules", found.rules), **told))


def joint(batch: PatchBatch, keys: Sequence[tuple[str, int]]) -> Tensor:
    """The exact effects [key row] of patching all units and positions of a kind and layer together."""
    cases = [
        frozenset(
            PlacedNode(node_of(kind, layer, unit), column)
            for unit in range(extent(kind, batch.model.shape)[1])
            for column in range(batch.columns.shape[2])
        )
        for kind, layer in keys
    ]
    return effects(batch, cases, lambda n: None)


def close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal within a part of the largest value, which is no zero."""
    assert found.shape == expected.shape
    size = float(expected.abs().max())
    assert size > 1e-6, "nothing to compare: all is 0"
    assert float((found - expected).abs().max()) <= tolerance * size


def apart(found: Tensor, other: Tensor, by: float = 1e-2) -> None:
    """Different by more than a part of the largest value."""
    assert float((found - other).abs().max()) > by * float(other.abs().max())


def metric_by_hand(batch: PatchBatch, edit: Callable[[str, int, Tensor], Tensor | None]) -> Tensor:
    """The logit difference of every row, after a pass in which an edit of what `trace` names takes place."""
    x = trace(batch.model, batch.base, batch.lengths, edit)
    logits = unembed(batch.model, x)[torch.arange(len(x)), batch.answer]
    first, second = (ids[torch.from_numpy(batch.rows), 0] for ids in batch.arguments.ids)
    return (logits.gather(1, first[:, None]) - logits.gather(1, second[:, None]))[:, 0]


class Frozen:
    """Steps that keep what the first pass made of each norm, pattern and activation."""

    def __init__(self, model: Transformer) -> None:
        self.kept: dict[int, Tensor] = {}
        self.patterns: list[Tensor] = []
        self.layers, self.call = len(model.blocks), 0
        self.steps = Steps(norm=self._norm, attend=self._attend, neurons=self._neurons)

    def _norm(self, n: Norm, x: Tensor) -> Tensor:
        if n.kind == "none":
            return x
        x = x - x.mean(-1, keepdim=True) if n.kind == "layer" else x
        scale = self.kept.setdefault(id(n), 1 / (x.square().mean(-1, keepdim=True) + n.eps).sqrt().detach())
        x = x * scale * n.weight
        return x if n.bias is None else x + n.bias

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scoring: Scoring) -> Tensor:
        if len(self.patterns) < self.layers:
            self.patterns.append(pattern(q, k, mask, scoring).detach())
        kept = self.patterns[self.call % self.layers]
        self.call += 1
        return torch.einsum("rhqt,rthe->rqhe", kept, v)

    def _neurons(self, m: Mlp, x: Tensor) -> Tensor:
        assert m.W_gate is None, "half of a gated product is the slope of no function"
        hidden = x @ m.W_in + (0 if m.b_in is None else m.b_in)
        return hidden * self.kept.setdefault(id(m), (ACTIVATIONS[m.act](hidden) / hidden).detach())


def frozen_effects(batch: PatchBatch, kind: str) -> tuple[Tensor, Tensor]:
    """Patching of every node of a kind in the frozen base run [row layer unit column], and its AtP."""
    model, layers_units = batch.model, extent(kind, batch.model.shape)
    frozen = Frozen(model)
    run = batch.forward(frozen.steps)
    layers, units = layers_units
    width = batch.base.shape[1]
    exact = torch.zeros(len(batch.rows), layers, units, width, dtype=model.dtype)
    first_order = torch.zeros_like(exact)
    gradients = run.gradients([(kind, layer) for layer in range(layers)], again=True)
    for layer in range(layers):
        new, old = batch.source_values[kind, layer], batch.base_values[kind, layer]
        product = (new - old) * gradients[kind, layer]
        for unit in range(units):
            whole = kind in ("embed", "attn", "mlp", "resid")
            at = slice(None) if whole else unit
            first_order[:, layer, unit] = (
                product[:, :, at].flatten(2).sum(-1) if kind != "neuron" else product[..., at]
            )
            for t in range(width):

                def edit(there: str, where: int, x: Tensor, t: int = t, at: Any = at, layer: int = layer) -> Any:
                    if (there, where) != (kind, layer):
                        return None
                    x = x.clone()
                    x[:, t, at] = batch.source_values[kind, layer][:, t, at]
                    return x

                exact[:, layer, unit, t] = (batch.forward(frozen.steps, edit).metric - run.metric).detach()
    return exact, first_order


def seen_pattern(batch: PatchBatch, layer: int) -> Tensor:
    """The attention pattern of a layer in the base run."""
    attn, values = batch.model.blocks[layer].attn, batch.base_values
    positions = torch.arange(batch.base.shape[1]).expand(batch.base.shape)
    seen = visible(attn, positions, positions, batch.lengths)
    return pattern(values["q", layer], values["k", layer], seen, Scoring(attn.scale))
