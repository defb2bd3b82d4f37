"""A whole pass: the embeddings, and layer after layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scrub.errors import ModelError
from scrub.model.block import Stretch, after_embedding, positions_of
from scrub.model.block import layer as run_layer
from scrub.model.layers import PLAIN, Steps, Tap
from scrub.model.places import beside
from scrub.model.weights import Block, Transformer

Record = Callable[[str, int, Tensor], Tensor | None]


def trace(
    model: Transformer,
    tokens: Int[Tensor, "row t"],
    lengths: Int[Tensor, " row"],
    record: Record | None = None,
    start: tuple[int, Float[Tensor, "row t d"]] | None = None,
    stop_layer: int | None = None,
    steps: Steps = PLAIN,
) -> Float[Tensor, "row t d"]:
    """One forward pass on right-padded rows: the final residual stream, or `resid_pre` of `stop_layer`.

    Calls `record(kind, layer, tensor)` in the order of computation: `embed` and `pos` (layer 0); `resid_pre`
    [row t d]; `q` [row t h e] and `k`, `v` [row t g e] (after bias, head norms and rotary, one for each
    key/value head), each as `q_before`, `k_before`, `v_before` before rotary angles first; `k_read`, `v_read`
    [row t h e], the same as each query head reads them; `z` [row t h e]; `attn_out`, what all heads write, without
    b_O, and where a norm follows as `attn_normed` what that gives; `resid_mid`, the stream that the MLP reads
    (`resid_pre` where parallel), and as `mlp_input` the same for the MLP alone; `neurons` [row t m]; `mlp_sum`,
    what the MLP writes before a norm of that; `mlp_out`; and `resid_pre` of layer `n_layers`, the final stream.
    Layers without an MLP record none of its five, black boxes no neurons.
    What it returns takes the tensor's place; None leaves it. `start=(layer, resid_pre)` resumes there. Values at
    padding have no meaning. What is told of a layer lies where the layer does, the final stream where the model does.
    Raises ModelError for rows longer than the context, and for padding inside a row where positions depend on it.
    """
    first, x = (0, _embedded(model, tokens, lengths, record, steps)) if start is None else start
    return run_layers(model, x, lengths, record, first, stop_layer, steps)


def run_layers(
    model: Transformer,
    x: Float[Tensor, "row t d"],
    lengths: Int[Tensor, " row"],
    record: Record | None = None,
    first: int = 0,
    stop_layer: int | None = None,
    steps: Steps = PLAIN,
) -> Float[Tensor, "row t d"]:
    """The same from the stream before a layer on.

    Where layers are taken from files a graph for gradients holds none of them, but the stream before each: a backward
    pass computes the layer anew, and `record` is told of its arrays again. It must answer as it did.
    """
    last = len(model.blocks) if stop_layer is None else stop_layer
    on = Stretch(lengths, positions_of(x))
    for layer in range(first, last):

        def tap(kind: str, value: Tensor, layer: int = layer) -> Tensor:
            return _recorded(record, kind, layer, value)

        def computed(x: Tensor, block: Block = model.blocks[layer], tap: Tap = tap) -> Tensor:
            x = beside(block.attn.W_Q, x)
            return run_layer(block, tap("resid_pre", x), on.beside(x), tap, steps)

        x = _anew(computed, x) if model.streamed and torch.is_grad_enabled() else computed(x)
    return _recorded(record, "resid_pre", last, x.to(model.device))


def _anew(layer: Callable[[Tensor], Tensor], x: Float[Tensor, "row t d"]) -> Float[Tensor, "row t d"]:
    """A layer whose backward pass computes it again (Chen et al. 2016, arXiv 1604.06174), its weights with it."""
    from torch.utils.checkpoint import checkpoint

    return checkpoint(layer, x, use_reentrant=False, preserve_rng_state=False)


def _recorded(record: Record | None, kind: str, layer: int, value: Tensor) -> Tensor:
    other = None if record is None else record(kind, layer, value)
    return value if other is None else beside(value, other)


def _refuse_padding(model: Transformer, tokens: Int[Tensor, "row t"], lengths: Int[Tensor, " row"]) -> None:
    real = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    if bool(((tokens == model.counted_past) & real).any()):
        raise ModelError(
            f"a row holds token {model.counted_past}, which {model.name} takes for padding and counts its positions "
            "past: leave it out."
        )


def _embedded(
    model: Transformer,
    tokens: Int[Tensor, "row t"],
    lengths: Int[Tensor, " row"],
    record: Record | None,
    steps: Steps,
) -> Float[Tensor, "row t d"]:
    if tokens.shape[1] > model.shape.n_ctx:
        raise ModelError(
            f"a row has {tokens.shape[1]} tokens, but {model.name} reads at most {model.shape.n_ctx}; "
            "shorten the rows."
        )
    if model.counted_past is not None:
        _refuse_padding(model, tokens, lengths)
    x = _recorded(record, "embed", 0, model.W_E[tokens].to(model.dtype))
    if model.W_pos is not None:
        x = x + _recorded(record, "pos", 0, model.W_pos[: tokens.shape[1]].to(x).expand(x.shape))
    return after_embedding(model, x, steps)
