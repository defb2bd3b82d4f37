"""What a transformer computes, as few pure functions: one code path for every architecture.

Axes as in `scrub.model.weights`; `n` are slots of a sequence, `row` contexts. Nothing here changes its inputs
in place or leaves the dtype it is given, so the same functions serve fp64 verification and gradients. Matrices in
half precision are multiplied in it (`times`), and what comes out goes on in the dtype of the streams; logits, whose
differences are what is measured, are computed in that dtype from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import attrs
import torch
import torch.nn.functional as F
from attrs import frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.table import CHANNELS
from scrub.errors import ModelError
from scrub.model.experts import BlackBox
from scrub.model.places import beside, plus
from scrub.model.products import affine, precise_times, times
from scrub.model.upload import some
from scrub.model.weights import Attn, Latent, Mlp, Norm, Rotary, Transform, Transformer

Tap = Callable[[str, Tensor], Tensor]  # the name of an array, what was computed -> what goes on
Normed = Callable[[Norm, Tensor], Tensor]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
    "silu": F.silu,
    "solu": lambda x: x * F.softmax(x, dim=-1),
    "tanh": torch.tanh,
    "identity": lambda x: x,
}


def norm(n: Norm, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """The normalised stream. Raises ModelError for an unknown kind."""
    if n.kind == "layer" and (n.weight is None or n.weight.ndim == 1):
        weight, bias = (None if vector is None else beside(x, vector) for vector in (n.weight, n.bias))
        return F.layer_norm(x, x.shape[-1:], weight, bias, n.eps)
    if n.kind == "layer":
        x = F.layer_norm(x, x.shape[-1:], eps=n.eps)
    elif n.kind == "rms":
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + n.eps)
    elif n.kind != "none":
        raise ModelError(f"a norm of kind {n.kind!r} is unknown; the known ones are layer, rms and none.")
    x = x if n.weight is None else x * beside(x, n.weight)
    return plus(x, n.bias)


def rotate(
    rotary: Rotary, x: Float[Tensor, "*batch n heads e"], positions: Int[Tensor, "*batch n"]
) -> Float[Tensor, "*batch n heads e"]:
    """Turn every head's first coordinates by the angles of the given positions."""
    positions = beside(rotary.cos, positions)
    cos, sin = (beside(x, table[positions].unsqueeze(-2)) for table in (rotary.cos, rotary.sin))
    turning, still = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    if rotary.interleaved:
        # Neighbours are turned together (GPT-J), or the two halves (GPT-NeoX, Llama).
        partner = torch.stack((-turning[..., 1::2], turning[..., 0::2]), dim=-1).flatten(-2)
    else:
        first, second = turning.chunk(2, dim=-1)
        partner = torch.cat((-second, first), dim=-1)
    return torch.cat((turning * cos + partner * sin, still), dim=-1)


def project(
    attn: Attn,
    channel: str,
    x: Float[Tensor, "*batch n d"],
    heads: Sequence[int] | None,
    positions: Int[Tensor, "*batch n"],
    own: Normed = norm,
) -> Float[Tensor, "*batch n heads e"]:
    """What heads make of a normalised stream: bias, the heads' own norm, and rotary at `positions` included.

    `channel` is `q`, `k` or `v`; `heads` are query heads for q, key/value heads for k and v; None is all.
    """
    return angled(attn, channel, unangled(attn, channel, x, heads, own), positions, own)


def unangled(
    attn: Attn, channel: str, x: Float[Tensor, "*batch n d"], heads: Sequence[int] | None, own: Normed = norm
) -> Float[Tensor, "*batch n heads e"]:
    """The same before rotary angles: bias, and the heads' own norm where it comes first, included."""
    of_heads = _own_norm(attn, channel)
    if of_heads is None or not attn.joint_norms:
        return _own_normed(attn, channel, linear(attn, channel, x, heads), heads, own)
    # One norm over all heads: what one head reads of a stream depends on what the others do.
    whole = linear(attn, channel, x, None)
    normed = own(of_heads, whole.flatten(-2)).unflatten(-1, whole.shape[-2:])
    return normed if heads is None else some(normed, heads, -2)


def unangled_each(
    attn: Attn, channel: str, x: Float[Tensor, "*batch n heads d"], heads: Sequence[int], own: Normed = norm
) -> Float[Tensor, "*batch n heads e"]:
    """The same of heads that have a stream each."""
    if attn.joint_norms and _own_norm(attn, channel) is not None:
        return torch.cat([unangled(attn, channel, x[..., i, :], [h], own) for i, h in enumerate(heads)], dim=-2)
    return _own_normed(attn, channel, linear_each(attn, channel, x, heads), heads, own)


def _own_normed(
    attn: Attn, channel: str, found: Float[Tensor, "*batch n heads e"], heads: Sequence[int] | None, own: Normed
) -> Float[Tensor, "*batch n heads e"]:
    """By the norm that each head has for itself, where it comes before angles."""
    of_heads = _own_norm(attn, channel)
    return found if of_heads is None or attn.norm_last else own(_of_some(of_heads, heads), found)


def angled(
    attn: Attn, channel: str, x: Float[Tensor, "*batch n heads e"], positions: Int[Tensor, "*batch n"],
    own: Normed = norm,
) -> Float[Tensor, "*batch n heads e"]:  # fmt: skip
    """Rotary angles, and the heads' own norm where it comes last; values are not turned."""
    if channel == "v":
        return x
    of_heads = _own_norm(attn, channel)
    x = x if attn.rotary is None else rotate(attn.rotary, x, positions)
    return own(of_heads, x) if of_heads is not None and attn.norm_last and not attn.joint_norms else x


def _of_some(n: Norm, heads: Sequence[int] | None) -> Norm:
    """The norm of some heads, where each has weights of its own."""
    if heads is None or n.weight is None or n.weight.ndim == 1:
        return n
    return attrs.evolve(n, weight=some(n.weight, heads, 0), bias=None if n.bias is None else some(n.bias, heads, 0))


def _own_norm(attn: Attn, channel: str) -> Norm | None:
    return attn.k_norm if channel == "k" else attn.q_norm if channel == "q" else None


def linear(
    attn: Attn, channel: str, x: Float[Tensor, "*batch n d"], heads: Sequence[int] | None
) -> Float[Tensor, "*batch n heads e"]:
    """What heads make of a normalised stream, bias included, before their own norm and rotary."""
    weight, bias = _projection(attn, channel)
    x = lowered(attn.q_latent if channel == "q" else attn.kv_latent, x)
    # A product for each head reads its matrix where it lies: to copy weights that are views of a bridge's is slow.
    if heads is None:
        out = plus(times(x, weight, "...d,hde->...he"), bias)
    else:
        made = [affine(x, weight[h], None if bias is None else bias[h]) for h in heads]
        out = made[0].unsqueeze(-2) if len(made) == 1 else torch.stack(made, dim=-2)
    return _clipped(attn, out)


def linear_each(
    attn: Attn, channel: str, x: Float[Tensor, "*batch n heads d"], heads: Sequence[int]
) -> Float[Tensor, "*batch n heads e"]:
    """The same of heads that have a stream each: one product for each."""
    weight, bias = _projection(attn, channel)
    lower = lowered(attn.q_latent if channel == "q" else attn.kv_latent, x)
    made = times(lower, some(weight, heads, 0), "...hd,hde->...he")
    return _clipped(attn, made if bias is None else plus(made, some(bias, heads, 0)))


def _clipped(attn: Attn, out: Float[Tensor, "*batch e"]) -> Float[Tensor, "*batch e"]:
    return out if attn.clip is None else out.clamp(-attn.clip, attn.clip)


def lowered(latent: Latent | None, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch r"]:
    """What the matrices of heads read: the stream itself, or a latent of it."""
    if latent is None:
        return x
    found = affine(x, latent.W, latent.b)
    assert latent.norm.weight is not None
    normed, rest = found.tensor_split([len(latent.norm.weight)], dim=-1)
    return torch.cat((norm(latent.norm, normed), rest), dim=-1)


def turn(
    attn: Attn, channel: str, x: Float[Tensor, "*batch n heads e"], positions: Int[Tensor, "*batch n"],
    own: Normed = norm,
) -> Float[Tensor, "*batch n heads e"]:  # fmt: skip
    """A head's own norm, and rotary at `positions`; values are neither normed nor turned."""
    of_heads = _own_norm(attn, channel)
    return angled(attn, channel, x if of_heads is None or attn.norm_last else own(of_heads, x), positions, own)


def turns(attn: Attn, channel: str) -> bool:
    """Whether `turn` does anything to a channel."""
    return _own_norm(attn, channel) is not None or (channel != "v" and attn.rotary is not None)


def matrices(attn: Attn, channel: str) -> Float[Tensor, "heads d e"] | None:
    """The matrices that make a channel of heads, up to biases and `turn`; None where a form makes it otherwise."""
    latent = attn.q_latent if channel == "q" else attn.kv_latent
    made_otherwise = attn.clip is not None or attn.joint_norms or attn.norms_by_head or latent is not None
    return None if made_otherwise else _projection(attn, channel)[0]


def _projection(attn: Attn, channel: str) -> tuple[Tensor, Tensor | None]:
    assert channel in CHANNELS, channel
    return {"q": (attn.W_Q, attn.b_Q), "k": (attn.W_K, attn.b_K), "v": (attn.W_V, attn.b_V)}[channel]


def kv_head(attn: Attn, head: int) -> int:
    """The key/value head that query head `head` reads."""
    return head // (attn.W_Q.shape[0] // attn.W_K.shape[0])


def expand(attn: Attn, kv: Float[Tensor, "*batch g e"]) -> Float[Tensor, "*batch h e"]:
    """All key/value heads, repeated so that there is one for each query head."""
    times = attn.W_Q.shape[0] // attn.W_K.shape[0]
    return kv if times == 1 else kv.repeat_interleave(times, dim=-2)


def visible(
    attn: Attn,
    q_pos: Int[Tensor, "row q"],
    key_pos: Int[Tensor, "row t"],
    lengths: Int[Tensor, " row"],
) -> Bool[Tensor, "row q t"]:
    """Which keys a query sees: none at or beyond the row's length, none in the future where causal."""
    seen = (key_pos < lengths[:, None])[:, None, :]
    query, key = q_pos[:, :, None], key_pos[:, None, :]
    if attn.causal:
        seen = seen & (key <= query)
    if attn.window is not None:
        seen = seen & (key > query - attn.window)
    return seen.expand(*q_pos.shape, key_pos.shape[1])


@frozen(eq=False)
class Scoring:
    """How scores are made of queries and keys: `scale q.k`, bent back beyond `cap`, and `bias` added.

    `sinks` are the scores of one more key, which has no value.
    """

    scale: float
    cap: float | None = None
    bias: Float[Tensor, "#row h q t"] | None = None
    sinks: Float[Tensor, " h"] | None = None


def scores(
    q: Float[Tensor, "row q h e"],
    k: Float[Tensor, "row t h e"],
    mask: Bool[Tensor, "#row #q t"],
    scoring: Scoring,
) -> Float[Tensor, "row h q t"]:
    """What the softmax of a `pattern` is taken of: minus infinity at keys that a query does not see."""
    found = capped(torch.matmul(q.transpose(1, 2), k.permute(0, 2, 3, 1)) * scoring.scale, scoring.cap)
    found = found if scoring.bias is None else found + scoring.bias
    return found.masked_fill(~some_key(mask)[:, None], -torch.inf)


def capped(x: Float[Tensor, "*s"], cap: float | None) -> Float[Tensor, "*s"]:
    """Numbers bent back smoothly, so that none lies beyond `cap` (Gemma 2)."""
    return x if cap is None else cap * torch.tanh(x / cap)


def pattern(
    q: Float[Tensor, "row q h e"],
    k: Float[Tensor, "row t h e"],
    mask: Bool[Tensor, "#row #q t"],
    scoring: Scoring,
) -> Float[Tensor, "row h q t"]:
    """The attention pattern. A query that sees nothing (it is padding) is shown every key: no NaN."""
    return with_sinks(scores(q, k, mask, scoring), scoring).softmax(-1)[..., : k.shape[1]]


def with_sinks(found: Float[Tensor, "row h q t"], scoring: Scoring) -> Float[Tensor, "row h q keys"]:
    """Scores with those of the sinks, where there are any, behind those of the keys."""
    if scoring.sinks is None:
        return found
    return torch.cat((found, scoring.sinks[:, None, None].expand(*found.shape[:3], 1)), dim=-1)


def attend(
    q: Float[Tensor, "row q h e"],
    k: Float[Tensor, "row t h e"],
    v: Float[Tensor, "row t h f"],
    mask: Bool[Tensor, "#row #q t"],
    scoring: Scoring,
) -> Float[Tensor, "row q h f"]:
    """The heads' z: values averaged by the `pattern`. k and v have one head for each of q's (`kv_head`)."""
    # The fused kernel holds no pattern, which is most of the memory of a long row, but knows no cap, bias or sink.
    if not (scoring.cap is scoring.bias is scoring.sinks is None):
        return torch.matmul(pattern(q, k, mask, scoring), v.transpose(1, 2)).transpose(1, 2)
    heads_first, seen = (tensor.transpose(1, 2) for tensor in (q, k, v)), some_key(mask)[:, None]
    return F.scaled_dot_product_attention(*heads_first, attn_mask=seen, scale=scoring.scale).transpose(1, 2)


def some_key(mask: Bool[Tensor, "*batch t"]) -> Bool[Tensor, "*batch t"]:
    """The mask, with every key for a query that sees none."""
    # A softmax over nothing is NaN, and NaN times 0 stays NaN in whatever is summed with it later.
    return mask | ~mask.any(-1, keepdim=True)


def write(
    attn: Attn, z: Float[Tensor, "*batch h e"], heads: Sequence[int] | None = None
) -> Float[Tensor, "*batch d"]:
    """The sum of what the given query heads write. b_O is not part of it: it belongs to the layer."""
    if heads is None:
        # One product over heads and their width, not one for each head and a sum: the sum is the product's own.
        return times(z.flatten(-2), attn.W_O.flatten(0, 1))
    # Matrices of some heads would be copied to lie together.
    return reduce(torch.add, (times(z[..., at, :], attn.W_O[h]) for at, h in enumerate(heads)))


def neurons(m: Mlp, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch m"]:
    """What W_out reads: the activations, times the gated ones where there is a gate."""
    act, hidden = ACTIVATIONS[m.act], affine(x, m.W_in, m.b_in)
    return normed_neurons(m, act(hidden) if m.W_gate is None else act(affine(x, m.W_gate, m.b_gate)) * hidden)


def normed_neurons(m: Mlp, hidden: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
    """Activations as W_out reads them: normed, where the MLP has a norm of its own."""
    return hidden if m.ln is None else norm(m.ln, hidden)


def some_neurons(m: Mlp, x: Float[Tensor, "*batch d"], units: Sequence[int]) -> Float[Tensor, "*batch units"]:
    """The same of some neurons, from their columns alone; all, where an activation looks at the others."""
    if m.over_all:
        return some(neurons(m, x), units, -1)
    columns = {name: getattr(m, name) for name in ("W_in", "W_gate", "b_in", "b_gate")}
    return neurons(attrs.evolve(m, **{n: None if c is None else some(c, units, -1) for n, c in columns.items()}), x)


def write_neurons(m: Mlp, hidden: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch d"]:
    """What an MLP writes, b_out included, given its `neurons`."""
    return affine(hidden, m.W_out, m.b_out)


@frozen
class Steps:
    """The steps of a pass that are not linear. Others with the same values may have other gradients.

    `norm` are those that read the stream, `own` those that heads have for their queries and keys.
    """

    norm: Normed = norm
    own: Normed = norm
    attend: Callable[[Tensor, Tensor, Tensor, Tensor, Scoring], Tensor] = attend
    neurons: Callable[[Mlp, Tensor], Tensor] = neurons


PLAIN = Steps()


def mlp(
    m: Mlp | BlackBox, x: Float[Tensor, "*batch d"], steps: Steps = PLAIN, tap: Tap | None = None
) -> Float[Tensor, "*batch d"]:
    """What the MLP writes, b_out included, given its normalised input; `tap` hears of `neurons`, where there are."""
    if isinstance(m, BlackBox):
        return m.fn(x)
    # The stream goes there and back once: neurons are several times as many.
    hidden = steps.neurons(m, beside(m.W_in, x))
    return beside(x, write_neurons(m, hidden if tap is None else tap("neurons", hidden)))


def transformed(head: Transform | None, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """What the last norm reads: the final stream, or what a head makes of it."""
    return x if head is None else ACTIVATIONS[head.act](affine(x, head.W, head.b))


def unembed(
    model: Transformer,
    x: Float[Tensor, "*batch d"],
    ids: Int[Tensor, "*common k"] | None = None,
    steps: Steps = PLAIN,
) -> Float[Tensor, "*batch k"]:
    """Logits of a final stream, `ln_final` applied: all of them, or only the vocabulary columns `ids`.

    `ids` of one axis are columns common to the whole batch; otherwise their leading axes are the stream's.
    """
    x = steps.norm(model.ln_final, transformed(model.transform, x))
    if ids is None:
        logits = _logits(x, model.W_U, model.b_U)
    elif ids.ndim == 1:
        logits = affine(x, model.W_U[:, beside(model.W_U, ids)].to(x.dtype), _of_ids(model.b_U, ids))
    else:
        # Columns of each row are gathered: k of them are far fewer than a vocabulary.
        logits = torch.einsum("...d,...kd->...k", x, model.W_U.T[beside(model.W_U, ids)].to(x))
        logits = plus(logits, _of_ids(model.b_U, ids))
    return capped(logits, model.logit_cap)


def _of_ids(bias: Float[Tensor, " v"] | None, ids: Int[Tensor, "*common k"]) -> Float[Tensor, "*common k"] | None:
    return None if bias is None else bias[beside(bias, ids)]


def _logits(x: Float[Tensor, "*batch d"], W_U: Float[Tensor, "d v"], b_U: Tensor | None) -> Float[Tensor, "*batch v"]:
    if W_U.dtype == x.dtype:
        return affine(x, W_U, b_U)
    return plus(precise_times(x, W_U), b_U)
