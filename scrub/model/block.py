"""One layer, step by step: read, norm, project, attend, write; read, norm, MLP.

Every pass is made of these steps: the plain one (`scrub.model.trace`), streams, sites and mean rows of the engine,
circuits of components, wirings of edges and paths, and, with other `Steps`, gradients. What a form of layer does
otherwise than others is said here, once; `scrub.model.layers` has the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from attrs import frozen
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from scrub.anatomy.table import ATTN_NORMED, MLP_SUM, before_angles
from scrub.model.experts import BlackBox
from scrub.model.layers import (
    PLAIN,
    Scoring,
    Steps,
    Tap,
    angled,
    expand,
    kv_head,
    mlp,
    norm,
    pattern,
    project,
    unangled,
    unangled_each,
    visible,
    write,
)  # fmt: skip
from scrub.model.places import beside, plus
from scrub.model.upload import some
from scrub.model.weights import Attn, Block, Transformer


def attention_reads(block: Block, x: Float[Tensor, "*batch d"], steps: Steps = PLAIN) -> Float[Tensor, "*batch d"]:
    """What heads project, of the stream that attention reads."""
    return steps.norm(block.ln1, x)


def read_heads(
    block: Block, channel: str, x: Float[Tensor, "*batch n d"], heads: Sequence[int], at: Int[Tensor, "*batch n"]
) -> Float[Tensor, "*batch n heads e"]:
    """The queries, keys or values that some query heads have of a stream."""
    return as_read(block.attn, channel, heads, lambda held: read_held(block, channel, x, held, at))


def read_held(
    block: Block, channel: str, x: Float[Tensor, "*batch n d"], held: Sequence[int], at: Int[Tensor, "*batch n"]
) -> Float[Tensor, "*batch n held e"]:
    """The same, keys and values of key/value heads: each once, however many query heads read it."""
    there = beside(block.attn.W_Q, x)
    return beside(x, project(block.attn, channel, attention_reads(block, there), held, beside(there, at)))


def read_before(
    block: Block, channel: str, x: Float[Tensor, "*batch n d"], held: Sequence[int]
) -> Float[Tensor, "*batch n held e"]:
    """The same before rotary angles."""
    return beside(x, unangled(block.attn, channel, attention_reads(block, beside(block.attn.W_Q, x)), held))


def read_each_before(
    block: Block,
    channel: str,
    normed: Float[Tensor, "*batch n stream d"],
    streams: Sequence[int],
    heads: Sequence[int],
) -> Float[Tensor, "*batch n heads e"]:
    """The same of query heads that have a stream each: one of several that were normed, where their matrices lie."""
    attn = block.attn
    if len(set(streams)) == 1:
        x = normed[..., streams[0], :]
        return as_read(attn, channel, heads, lambda held: unangled(attn, channel, x, held))
    held = heads if channel == "q" else [kv_head(attn, head) for head in heads]
    return unangled_each(attn, channel, some(normed, streams, -2), held)


def held_by(attn: Attn, channel: str, heads: Sequence[int]) -> list[int]:
    """The heads whose q, k or v some query heads read: themselves, or their distinct key/value heads in order."""
    return list(heads) if channel == "q" else sorted({kv_head(attn, head) for head in heads})


def as_read(
    attn: Attn, channel: str, heads: Sequence[int], made: Callable[[list[int]], Float[Tensor, "*batch held e"]]
) -> Float[Tensor, "*batch heads e"]:
    """`made` of the heads that are read, one for each query head that reads it."""
    held = held_by(attn, channel, heads)
    found = made(held)
    return found if channel == "q" else some(found, [held.index(kv_head(attn, head)) for head in heads], -2)


def mixed(
    attn: Attn, q: Float[Tensor, "row q h e"], k: Float[Tensor, "row t h e"], v: Float[Tensor, "row t h f"],
    at: Int[Tensor, "row q"], lengths: Int[Tensor, " row"], heads: Sequence[int] | None = None, steps: Steps = PLAIN,
) -> Float[Tensor, "row q h f"]:  # fmt: skip
    """The z of queries at positions `at`, from the keys of the first t positions; they are of `heads`, or of all."""
    keys = positions_of(k)
    return steps.attend(q, k, v, visible(attn, at, keys, lengths), scoring(attn, at, keys, heads))


def scoring(
    attn: Attn, at: Int[Tensor, "row q"], keys: Int[Tensor, "row t"], heads: Sequence[int] | None = None
) -> Scoring:
    """How a layer scores keys at their positions, for queries at `at` of some heads."""

    def of_heads(x: Float[Tensor, " h"]) -> Float[Tensor, " heads"]:
        return beside(at, x if heads is None else some(x, heads, 0))

    sinks = None if attn.sinks is None else of_heads(attn.sinks)
    if attn.slopes is None:
        return Scoring(attn.scale, attn.cap, sinks=sinks)
    # ALiBi's bias by distance. Libraries add one by the key's position alone, which softmax cannot tell from it.
    slopes = of_heads(attn.slopes)
    back = (at[:, :, None] - keys[:, None, :]).to(slopes.dtype)
    return Scoring(attn.scale, attn.cap, -slopes[:, None, None] * back[:, None], sinks)


def patterns(
    attn: Attn, q: Float[Tensor, "row t h e"], k: Float[Tensor, "row t h e"], lengths: Int[Tensor, " row"]
) -> Float[Tensor, "row h q t"]:
    """The attention pattern of every position."""
    at = positions_of(q)
    return pattern(q, k, visible(attn, at, at, lengths), scoring(attn, at, at))


def after_attention(
    block: Block, x: Float[Tensor, "*batch d"], out: Float[Tensor, "*batch d"], steps: Steps = PLAIN
) -> Float[Tensor, "*batch d"]:
    """The stream after attention, given what all heads write."""
    return after_added(block, x, entering(block, out, steps), steps)


def after_added(
    block: Block, x: Float[Tensor, "*batch d"], added: Float[Tensor, "*batch d"], steps: Steps = PLAIN
) -> Float[Tensor, "*batch d"]:
    """The same, given what attention adds."""
    found = plus(x, added)
    return found if block.stream_attn is None else steps.norm(block.stream_attn, found)


def after_mlp(
    block: Block, x: Float[Tensor, "*batch d"], out: Float[Tensor, "*batch d"], steps: Steps = PLAIN
) -> Float[Tensor, "*batch d"]:
    """The stream after the MLP, given that after attention and what the MLP writes."""
    return plus(x, out) if block.stream_mlp is None else steps.norm(block.stream_mlp, plus(x, out))


def after_embedding(
    model: Transformer, x: Float[Tensor, "*batch d"], steps: Steps = PLAIN
) -> Float[Tensor, "*batch d"]:
    """The stream before the first layer, given the sum of the embeddings."""
    x = plus(x, model.b_E)
    return x if model.stream_embed is None else steps.norm(model.stream_embed, x)


def entering(block: Block, out: Float[Tensor, "*batch d"], steps: Steps = PLAIN) -> Float[Tensor, "*batch d"]:
    """What attention adds to the stream, given what all heads write: b_O with it, and normed where `post_attn`."""
    out = summed_heads(block, out)
    return out if block.post_attn is None else steps.norm(block.post_attn, out)


def summed_heads(block: Block, out: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """The same with b_O, which belongs to the layer."""
    return plus(out, block.attn.b_O)


def change_entering(
    block: Block, change: Float[Tensor, "*batch d"], out: Callable[[], Float[Tensor, "*batch d"]]
) -> Float[Tensor, "*batch d"]:
    """How much more attention adds where heads write `change` more than `out`, what all of them wrote together."""
    if block.post_attn is None:
        return change
    # The norm is of all that heads write together: a change cannot be normed by itself, only the two sums can.
    before = out()
    return entering(block, before + change) - entering(block, before)


def mlp_reads(
    block: Block, before: Float[Tensor, "*batch d"], after: Float[Tensor, "*batch d"]
) -> Float[Tensor, "*batch d"]:
    """Which stream the MLP reads: that after attention, where parallel that before."""
    return before if block.parallel else after


def mlp_writes(
    block: Block, x: Float[Tensor, "*batch d"], steps: Steps = PLAIN, tap: Tap | None = None
) -> Float[Tensor, "*batch d"]:
    """What the MLP writes, given the stream that it reads; `tap` hears of `neurons`, where they are known."""
    assert block.mlp is not None
    out = mlp(block.mlp, mlp_normed(block, x, steps), steps, tap)
    return mlp_entering(block, out if tap is None else tap(MLP_SUM, out), steps)


def mlp_normed(block: Block, x: Float[Tensor, "*batch d"], steps: Steps = PLAIN) -> Float[Tensor, "*batch d"]:
    """What the MLP's neurons read, of the stream that it reads."""
    return x if block.ln2 is None else steps.norm(block.ln2, x)


def mlp_entering(block: Block, out: Float[Tensor, "*batch d"], steps: Steps = PLAIN) -> Float[Tensor, "*batch d"]:
    """What the MLP adds to the stream, given what all its neurons write with b_out: normed where `post_mlp`."""
    return out if block.post_mlp is None else steps.norm(block.post_mlp, out)


def experts_of(block: Block, x: Float[Tensor, "*batch d"]) -> Int[Tensor, "*batch k"] | None:
    """The experts that an MLP sends a stream to; None where it has none, or does not say."""
    if not isinstance(block.mlp, BlackBox):
        return None
    return block.mlp.chosen(x if block.ln2 is None else norm(block.ln2, x))


@frozen(eq=False)
class Stretch:
    """The part of its rows that a layer is computed on: the stream stands at positions `at`, keys before it are told.

    What comes after attention is wanted at `ends` alone, indices into `at`; None is everywhere.
    """

    lengths: Int[Tensor, " row"]
    at: Int[Tensor, "row t"]
    ends: Int[Tensor, "row n"] | None = None

    def beside(self, x: Tensor) -> Stretch:
        """The same where a stream lies."""
        ends = None if self.ends is None else beside(x, self.ends)
        return Stretch(beside(x, self.lengths), beside(x, self.at), ends)

    def wanted(self, x: Shaped[Tensor, "row t *rest"]) -> Shaped[Tensor, "row n *rest"]:
        return x if self.ends is None else x[torch.arange(len(x), device=x.device)[:, None], self.ends]


def layer(
    block: Block, x: Float[Tensor, "row t d"], on: Stretch, tap: Tap, steps: Steps = PLAIN
) -> Float[Tensor, "row n d"]:
    """A whole layer; `tap` hears of every array of it, as `scrub.model.trace.trace` names them.

    Keys and values that stand before the stretch are what `tap` puts before `k_read` and `v_read`.
    """
    attn, read = block.attn, attention_reads(block, x, steps)

    def projected(channel: str, read: Tensor, at: Tensor) -> Tensor:
        """Queries, keys or values of all heads, told before their angles and after."""
        before = tap(before_angles(channel), unangled(attn, channel, read, None, steps.own))
        return tap(channel, angled(attn, channel, before, at, steps.own))

    q = projected("q", on.wanted(read), on.wanted(on.at))
    k, v = (projected(channel, read, on.at) for channel in ("k", "v"))
    k, v = tap("k_read", expand(attn, k)), tap("v_read", expand(attn, v))
    z = tap("z", mixed(attn, q, k, v, on.wanted(on.at), on.lengths, steps=steps))
    x = on.wanted(x)
    added = entering(block, tap("attn_out", write(attn, z)), steps)
    after = after_added(block, x, added if block.post_attn is None else tap(ATTN_NORMED, added), steps)
    if block.mlp is None:
        return after
    mid = tap("mlp_input", tap("resid_mid", mlp_reads(block, x, after)))
    return after_mlp(block, after, tap("mlp_out", mlp_writes(block, mid, steps, tap)), steps)


def positions_of(x: Float[Tensor, "row t *rest"]) -> Int[Tensor, "row t"]:
    """The position of everything in an array over all positions."""
    return torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
