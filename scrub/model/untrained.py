"""A model of the same shape that has learnt nothing: the architecture with fresh random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from attrs import evolve
from jaxtyping import Float
from torch import Tensor

from scrub.errors import ModelError
from scrub.model.experts import BlackBox
from scrub.model.weights import Attn, Block, Latent, Mlp, Norm, Transform, Transformer, norms_of

EMBEDDING = 0.02  # the standard deviation with which GPT-2, Llama and NeoX start

Fresh = Callable[[Float[Tensor, "..."], float], Float[Tensor, "..."]]


def untrained(model: Transformer, seed: int) -> Transformer:
    """Embeddings are normal with a standard deviation of 0.02, matrices of one over the root of their inputs.

    Norms are 1, biases 0; rotary tables stay, and embeddings that are shared with the unembedding stay shared.
    Raises ModelError where an MLP is known as a function alone, and for a model that is run from its files: the other
    would lie in memory.
    """
    if model.lending is not None:
        raise ModelError(
            "the model is run from its files, and an untrained one would lie in memory whole: leave --stream out."
        )
    generator = torch.Generator().manual_seed(seed)

    def fresh(like: Float[Tensor, ...], std: float) -> Float[Tensor, ...]:
        return (std * torch.randn(like.shape, generator=generator)).to(like)

    d = model.shape.d_model
    W_E = fresh(model.W_E, EMBEDDING)
    return evolve(
        model, W_E=W_E, W_pos=None if model.W_pos is None else fresh(model.W_pos, EMBEDDING),
        blocks=tuple(_block(block, fresh) for block in model.blocks), ln_final=_norm(model.ln_final),
        W_U=W_E.T if model.tied else fresh(model.W_U, d**-0.5), b_U=_zero(model.b_U),
        stream_embed=_maybe(model.stream_embed), b_E=_zero(model.b_E), transform=_head(model.transform, fresh),
        name=f"{model.name}, untrained", revision=f"seed {seed}",
        passes=None,  # nobody asks for their rows again
    )  # fmt: skip


def _block(block: Block, fresh: Fresh) -> Block:
    if isinstance(block.mlp, BlackBox):
        raise ModelError("an MLP of the model is known as a function alone: its weights cannot be drawn anew.")
    mlp = None if block.mlp is None else _mlp(block.mlp, fresh)
    return evolve(block, attn=_attn(block.attn, fresh), mlp=mlp, **_norms(block))


def _attn(a: Attn, fresh: Fresh) -> Attn:
    heads, e, _ = a.W_O.shape
    return evolve(
        a, W_Q=_matrix(a.W_Q, fresh), W_K=_matrix(a.W_K, fresh), W_V=_matrix(a.W_V, fresh),
        W_O=fresh(a.W_O, (heads * e) ** -0.5), sinks=_zero(a.sinks),
        q_latent=_latent(a.q_latent, fresh), kv_latent=_latent(a.kv_latent, fresh),
        b_Q=_zero(a.b_Q), b_K=_zero(a.b_K), b_V=_zero(a.b_V), b_O=_zero(a.b_O),
        **_norms(a),
    )  # fmt: skip


def _matrix(weight: Float[Tensor, "h d e"], fresh: Fresh) -> Float[Tensor, "h d e"]:
    return fresh(weight, weight.shape[1] ** -0.5)


def _latent(latent: Latent | None, fresh: Fresh) -> Latent | None:
    if latent is None:
        return None
    return evolve(latent, W=fresh(latent.W, len(latent.W) ** -0.5), norm=_norm(latent.norm), b=_zero(latent.b))


def _mlp(m: Mlp, fresh: Fresh) -> Mlp:
    d, width = m.W_in.shape
    return evolve(
        m, W_in=fresh(m.W_in, d**-0.5), W_out=fresh(m.W_out, width**-0.5), b_in=_zero(m.b_in), b_out=_zero(m.b_out),
        W_gate=None if m.W_gate is None else fresh(m.W_gate, d**-0.5), b_gate=_zero(m.b_gate), **_norms(m),
    )  # fmt: skip


def _head(head: Transform | None, fresh: Fresh) -> Transform | None:
    return None if head is None else evolve(head, W=fresh(head.W, len(head.W) ** -0.5), b=torch.zeros_like(head.b))


def _norm(norm: Norm) -> Norm:
    weight = None if norm.weight is None else torch.ones_like(norm.weight)
    return evolve(norm, weight=weight, bias=_zero(norm.bias))


def _norms(owner: Attn | Mlp | Block) -> dict[str, Any]:
    return {name: _norm(norm) for name, norm in norms_of(owner).items()}


def _maybe(norm: Norm | None) -> Norm | None:
    return None if norm is None else _norm(norm)


def _zero(bias: Float[Tensor, ...] | None) -> Float[Tensor, ...] | None:
    return None if bias is None else torch.zeros_like(bias)
