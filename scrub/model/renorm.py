"""Norms of the stream itself (BERT, the first GPT): how a change of it comes out of them.

Such a norm belongs to the layer. It reads the sum of the stream before it and of what was written at its moment, and
what comes out is the stream. A change D of that sum x is norm(x + D) - norm(x) afterwards: the norm is recomputed on
every mixed stream, at every moment that it passes.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.table import START, attending, summands
from scrub.model.block import summed_heads
from scrub.model.layers import norm
from scrub.model.weights import Norm, Transformer

Kind = tuple[str, int]  # an array of a pass, and its layer


def norm_at(model: Transformer, time: int) -> Norm | None:
    """The norm that the stream passes after what is written at a moment."""
    if time == START:
        return model.stream_embed
    if time >= 2 * len(model.blocks):
        return None
    block = model.blocks[time // 2]
    return block.stream_mlp if attending(time) is None else block.stream_attn


def change_through(
    model: Transformer, time: int, change: Float[Tensor, "*batch d"], out: Callable[[Kind], Float[Tensor, "*batch d"]]
) -> Float[Tensor, "*batch d"]:
    """A change of the stream after the norm at a moment; `out` gives arrays of the frame. As it is without a norm."""
    own = norm_at(model, time)
    if own is None:
        return change
    before = sum(map(out, summands(model.shape, time)[1:]), out(summands(model.shape, time)[0]))
    if time == START and model.b_E is not None:
        before = before + model.b_E
    if (layer := attending(time)) is not None:
        before = summed_heads(model.blocks[layer], before)
    return norm(own, before + change) - norm(own, before)
