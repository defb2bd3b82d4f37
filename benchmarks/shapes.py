"""Transformers of published shapes with random weights, made where they are used: no file, no second copy."""

from __future__ import annotations

from functools import partial

import torch
from attrs import evolve
from torch import Tensor

from scrub.anatomy.shape import Shape
from scrub.model.weights import Attn, Block, Mlp, Norm, Rotary, Transformer

SHAPES = {  # layers, heads, key/value heads, d_model, d_head, d_mlp, vocabulary, context
    "GPT-2 small (124M)": Shape("gpt2", 12, 12, 12, 768, 64, 3072, 50257, 1024),
    "GPT-2 XL (1.5B)": Shape("gpt2", 48, 25, 25, 1600, 64, 6400, 50257, 1024),
    "Llama-3 8B": Shape("llama", 32, 32, 8, 4096, 128, 14336, 128256, 8192, "rotary", gated=True),
    "Llama-3 70B": Shape("llama", 80, 64, 8, 8192, 128, 28672, 128256, 8192, "rotary", gated=True),
}


def narrow(shape: Shape) -> Shape:
    """The same form, small enough for any machine: twelve layers, of twelve heads or more."""
    heads = shape.n_heads if shape.n_heads < 16 else 16
    kv = heads * shape.n_kv_heads // shape.n_heads
    return evolve(
        shape, n_layers=12, n_heads=heads, n_kv_heads=kv, d_model=96, d_head=8, d_mlp=192, d_vocab=2000, n_ctx=64
    )


def parameters(shape: Shape) -> int:
    """How many numbers its matrices have."""
    s = shape
    attention = 2 * s.d_model * s.d_head * (s.n_heads + s.n_kv_heads)
    mlp = (3 if s.gated else 2) * s.d_model * s.d_mlp
    places = s.n_ctx * s.d_model if s.positions == "learned" else 0
    unembedding = 0 if s.family == "gpt2" else s.d_vocab * s.d_model
    return s.n_layers * (attention + mlp) + s.d_vocab * s.d_model + unembedding + places


def turning(shape: Shape, device: torch.device, dtype: torch.dtype) -> Rotary:
    """Llama's angles, theta 500,000."""
    inverse = 500000.0 ** -(torch.arange(0, shape.d_head, 2, device=device) / shape.d_head)
    angles = (torch.arange(shape.n_ctx, device=device)[:, None] * inverse).repeat(1, 2)
    return Rotary(angles.cos().to(dtype), angles.sin().to(dtype))


@torch.no_grad()
def random_model(shape: Shape, device: torch.device, dtype: torch.dtype) -> Transformer:
    """Matrices of one over the root of their inputs, norms of 1, no biases; tied where GPT-2 is."""
    torch.manual_seed(0)
    s, new = shape, partial(torch.randn, device=device, dtype=dtype)

    def matrix(*size: int, inputs: int) -> Tensor:
        return new(*size).mul_(inputs**-0.5)

    kind = "rms" if s.gated else "layer"
    rotary = turning(s, device, dtype) if s.positions == "rotary" else None

    def norm() -> Norm:
        bias = None if s.gated else torch.zeros(s.d_model, device=device, dtype=dtype)
        return Norm(kind, torch.ones(s.d_model, device=device, dtype=dtype), bias)

    def block() -> Block:
        read, wrote = s.d_model, s.n_heads * s.d_head
        attn = Attn(
            matrix(s.n_heads, read, s.d_head, inputs=read), matrix(s.n_kv_heads, read, s.d_head, inputs=read),
            matrix(s.n_kv_heads, read, s.d_head, inputs=read), matrix(s.n_heads, s.d_head, read, inputs=wrote),
            scale=s.d_head**-0.5, rotary=rotary,
        )  # fmt: skip
        gate = matrix(read, s.d_mlp, inputs=read) if s.gated else None
        act = "silu" if s.gated else "gelu_tanh"
        mlp = Mlp(matrix(read, s.d_mlp, inputs=read), matrix(s.d_mlp, read, inputs=s.d_mlp), act, W_gate=gate)
        return Block(norm(), attn, norm(), mlp)

    W_E = new(s.d_vocab, s.d_model).mul_(0.02)
    W_pos = new(s.n_ctx, s.d_model).mul_(0.02) if s.positions == "learned" else None
    W_U = W_E.T if s.family == "gpt2" else matrix(s.d_model, s.d_vocab, inputs=s.d_model)
    blocks = tuple(block() for _ in range(s.n_layers))
    return Transformer(s, W_E, W_pos, blocks, norm(), W_U, name=s.family, revision="random")
