"""A transformer as values: the weights of its layers, and what is fixed about each.

Axes in the shapes: `h` query heads, `g` key/value heads, `d` d_model, `e` d_head, `m` d_mlp, `v` vocabulary.
Weights may have any strides. `scrub.model.layers` computes with them.

Matrices (fields that begin with W, and black boxes) may be in half precision. All else is in the dtype in which
streams are computed: fp32 then, or that of the matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from attrs import Factory, field, fields, frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.shape import Shape
from scrub.model.experts import BlackBox
from scrub.model.kept import KeptRows
from scrub.model.later import Later, Lending
from scrub.model.memory import Memory, Piece
from scrub.model.precision import computed_in
from scrub.model.workers import ALONE, Workers

UNBOUND = 2**20  # items: more than any memory holds
NORM_EPS = 1e-5  # what torch adds to a variance, where a model does not say it


@frozen(eq=False)
class Norm:
    """`layer` centres and scales, `rms` scales, `none` does neither; then weight and bias, where given.

    Heads' own norms may have a weight, and a bias, for each head (`h e`: Command-R, StableLM 2).
    """

    kind: str
    weight: Float[Tensor, "*h d"] | None = None
    bias: Float[Tensor, "*h d"] | None = None
    eps: float = NORM_EPS


@frozen(eq=False)
class Rotary:
    """Tables of the angles by position; the first `rot <= e` coordinates of a head turn, the others stay.

    Coordinate i turns with i + rot/2 (half-split, as in Llama and NeoX), or 2i with 2i + 1 (`interleaved`, as
    in GPT-J and the native models). The tables name the angle of every coordinate in the same order.
    """

    cos: Float[Tensor, "n_ctx rot"]
    sin: Float[Tensor, "n_ctx rot"]
    interleaved: bool = False


@frozen(eq=False)
class Latent:
    """What heads project instead of the stream: `x W + b`, the first `len(norm.weight)` coordinates normed."""

    W: Float[Tensor, "d r"]
    norm: Norm
    b: Float[Tensor, " r"] | None = None


@frozen(eq=False)
class Attn:
    """Attention of one layer. Where queries are grouped, `g < h`, and `h / g` query heads share k and v.

    `window` counts the keys that a query sees, itself included. `clip` bounds queries, keys and values after their
    bias. `q_norm` and `k_norm` act on each head's e (with one long weight for all heads, on these as one vector),
    before the rotary angles or, `norm_last`, after them. Scores are `scale q.k`, those beyond `cap` bent back by a
    tanh, and with `slopes` (ALiBi) less by so much for each position that a key lies back. `sinks` are scores of a
    key that every query sees and that has no value (gpt-oss).

    Where queries, or keys and values, are made of a `Latent` of the stream (DeepSeek), their matrices read that: `d`
    is its width then. Values, `f`, may be of another width than queries and keys.
    """

    W_Q: Float[Tensor, "h d e"]
    W_K: Float[Tensor, "g d e"]
    W_V: Float[Tensor, "g d f"]
    W_O: Float[Tensor, "h f d"]
    b_Q: Float[Tensor, "h e"] | None = None
    b_K: Float[Tensor, "g e"] | None = None
    b_V: Float[Tensor, "g f"] | None = None
    b_O: Float[Tensor, " d"] | None = None
    scale: float = 1.0
    causal: bool = True
    window: int | None = None
    rotary: Rotary | None = None
    q_norm: Norm | None = None
    k_norm: Norm | None = None
    norm_last: bool = False
    cap: float | None = None
    slopes: Float[Tensor, " h"] | None = None
    clip: float | None = None
    sinks: Float[Tensor, " h"] | None = None
    q_latent: Latent | None = None
    kv_latent: Latent | None = None

    @property
    def joint_norms(self) -> bool:
        """Whether queries and keys are normed over all heads as one vector (OLMo 2)."""
        n = self.q_norm
        return n is not None and n.weight is not None and n.weight.shape[-1] != self.W_Q.shape[-1]

    @property
    def norms_by_head(self) -> bool:
        """Whether each head has weights of its own for the norms of its queries and keys."""
        n = self.q_norm
        return n is not None and n.weight is not None and n.weight.ndim == 2


@frozen(eq=False)
class Mlp:
    """`act(x W_in + b_in) W_out + b_out`.

    With a gate, as in SwiGLU: `(act(x W_gate + b_gate) * (x W_in + b_in)) W_out + b_out`. `ln` norms what W_out reads
    (SoLU: Elhage et al. 2022, "Softmax Linear Units").
    """

    W_in: Float[Tensor, "d m"]
    W_out: Float[Tensor, "m d"]
    act: str
    b_in: Float[Tensor, " m"] | None = None
    b_out: Float[Tensor, " d"] | None = None
    W_gate: Float[Tensor, "d m"] | None = None
    b_gate: Float[Tensor, " m"] | None = None
    ln: Norm | None = None

    @property
    def over_all(self) -> bool:
        """Whether what W_out reads of a neuron depends on the others."""
        return self.act == "solu" or self.ln is not None


@frozen(eq=False)
class Transform:
    """What a head of masked language models makes of the final stream before its norm: `act(x W + b)` (BERT)."""

    W: Float[Tensor, "d d"]
    b: Float[Tensor, " d"]
    act: str


@frozen(eq=False)
class Block:
    """One layer. Where `parallel`, the MLP reads the stream before the layer, `ln2(resid_pre)`.

    `post_attn` norms what all heads write, with b_O, and `post_mlp` what the MLP writes, before it is added.
    `stream_attn` and `stream_mlp` norm the stream itself, after attention and after the MLP, in place (BERT).
    Attention and MLP may be given as what is taken when it is asked for.
    """

    ln1: Norm
    _attn: Attn | Later[Attn] = field(alias="attn")
    ln2: Norm | None = None
    _mlp: Mlp | BlackBox | Later[Mlp] | Later[BlackBox] | None = field(default=None, alias="mlp")
    parallel: bool = False
    post_attn: Norm | None = None
    post_mlp: Norm | None = None
    stream_attn: Norm | None = None
    stream_mlp: Norm | None = None

    @property
    def attn(self) -> Attn:
        return self._attn() if isinstance(self._attn, Later) else self._attn

    @property
    def mlp(self) -> Mlp | BlackBox | None:
        return self._mlp() if isinstance(self._mlp, Later) else self._mlp

    @property
    def boxed(self) -> bool:
        """Whether the MLP is a black box; it is not taken for this."""
        return (self._mlp.kind if isinstance(self._mlp, Later) else type(self._mlp)) is BlackBox


def norms_of(owner: Attn | Mlp | Block) -> dict[str, Norm]:
    """The norms that a layer, its attention or its MLP has, by the names of their fields."""
    return {one.name: found for one in fields(type(owner)) if isinstance(found := getattr(owner, one.name), Norm)}


def _free_there(model: Transformer) -> Memory:
    return Memory.on((model.device,))


@frozen(eq=False)
class Transformer:
    """A model's weights, taken once, and where they come from. Logits above `logit_cap` are bent back by a tanh.

    `revision` is the hub's commit, or a digest of the weights, given as a function where it is to be computed when it
    is asked for; `processing` is `raw`, or `compat` where the
    weights were folded and centred before they were taken. `notes` are sentences for whoever reads a result.
    `stream_embed` norms the stream of the embeddings, after `b_E` was added to it; a `transform` comes before
    `ln_final`. Positions are counted past the token `counted_past` (RoBERTa), which no row may hold. `memory` bounds
    what is filled at once while it runs, by default a quarter of what is free when it is taken; `passes` are asked
    for what rows gave before they are run. `lending` holds what is at hand of layers that are taken as they run,
    and `checked` says how such a model was compared.
    """

    shape: Shape
    W_E: Float[Tensor, "v d"]
    W_pos: Float[Tensor, "n_ctx d"] | None
    blocks: Sequence[Block]
    ln_final: Norm
    W_U: Float[Tensor, "d v"]
    b_U: Float[Tensor, " v"] | None = None
    name: str = "model"
    _revision: str | Callable[[], str] = field(default="", repr=False)
    processing: str = "raw"
    notes: tuple[str, ...] = ()
    logit_cap: float | None = None
    stream_embed: Norm | None = None
    b_E: Float[Tensor, " d"] | None = None
    transform: Transform | None = None
    counted_past: int | None = None
    memory: Memory = field(default=Factory(_free_there, takes_self=True), repr=False)
    passes: KeptRows | None = field(default=None, repr=False)
    workers: Workers = field(default=ALONE, repr=False)
    lending: Lending | None = field(default=None, repr=False)
    checked: str = ""

    @property
    def revision(self) -> str:
        return self._revision if isinstance(self._revision, str) else self._revision()

    @property
    def dtype(self) -> torch.dtype:
        """Of what is computed: streams, changes, norms, patterns and logits. It is never half precision."""
        return computed_in(self.W_E.dtype)

    @property
    def precision(self) -> torch.dtype:
        """Of the layers' matrices, in which they are multiplied."""
        return self.blocks[0].attn.W_Q.dtype if len(self.blocks) else self.W_U.dtype

    @property
    def device(self) -> torch.device:
        """Where tokens, streams and all that is found lie; layers may lie elsewhere."""
        return self.W_E.device

    @property
    def in_caches(self) -> bool:
        """Whether work is cut to what the caches of a CPU hold.

        Not where layers are taken from files, which costs more than caches give; and any other device starts what it
        is asked for one by one. There the memory alone bounds what goes together.
        """
        return self.device.type == "cpu" and not self.streamed

    @property
    def streamed(self) -> bool:
        """Whether layers are taken from files."""
        return self.lending is not None

    def at_most(self, in_caches: int) -> int:
        """How many items go together, whatever the memory holds."""
        return in_caches if self.in_caches else UNBOUND

    def fit(self, piece: Piece, most: int) -> int:
        """How many pieces go together, as `Memory.fit` says, of `at_most` so many."""
        return self.memory.fit(piece, self.at_most(most))

    @property
    def tied(self) -> bool:
        """Whether embedding and unembedding share their storage."""
        return self.W_U.data_ptr() == self.W_E.data_ptr() and self.W_U.shape == self.W_E.T.shape

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Transformer:
        """The same model in another dtype or on another device; shared tensors stay shared.

        In half precision are matrices alone.
        """

        def move(tensor: Tensor, matrix: bool) -> Tensor:
            wanted = dtype if dtype is None or matrix else computed_in(dtype)
            return tensor.to(dtype=wanted or tensor.dtype, device=device or tensor.device)

        moved: Transformer = _moved(self, move, {})
        return attrs.evolve(moved, W_U=moved.W_E.T) if self.tied else moved


def lifted(model: Transformer, dtype: torch.dtype) -> Transformer:
    """The same model computed in full precision: each layer is cast as it is asked for, so that no copy is held."""
    tables = [id(table) for table in (model.W_E, model.W_pos, model.W_U)]  # of which a few numbers are read at once

    def move(tensor: Tensor, _: bool) -> Tensor:
        return tensor if model.dtype == dtype and id(tensor) in tables else tensor.to(dtype)

    around: Transformer = _moved(attrs.evolve(model, blocks=()), move, {})
    return attrs.evolve(around, blocks=_Lifted(model.blocks, dtype))


def emptied(value: Any, later: Callable[[Later[Any]], Any]) -> Any:
    """What is fixed about a model, or a part of one, without the numbers of its tensors; `later` says it of parts."""
    return _moved(value, lambda t, _: t.new_empty(0), {}, later=lambda part, _: later(part))


@frozen(eq=False)
class _Lifted(Sequence[Block]):
    blocks: Sequence[Block]
    dtype: torch.dtype

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, layer: Any) -> Any:
        return _moved(self.blocks[layer], lambda t, _: t.to(self.dtype), {})


def _moved(
    value: Any, move: Callable[[Tensor, bool], Tensor], done: dict[int, Any], matrix: bool = False,
    later: Callable[[Later[Any], Callable[[Any], Any]], Any] = Later.changed,
) -> Any:  # fmt: skip
    """A value with every tensor changed, those that are shared once; what is taken later is changed as it is."""
    if id(value) not in done:
        if isinstance(value, Tensor):
            done[id(value)] = move(value, matrix)
        elif isinstance(value, tuple):
            done[id(value)] = tuple(_moved(item, move, done, later=later) for item in value)
        elif isinstance(value, Later):
            # An id names a thing as long as it lives: what is let go again is remembered by nobody.
            done[id(value)] = later(value, lambda part: _moved(part, move, {}))
        elif isinstance(value, BlackBox):
            done[id(value)] = value.mapped(lambda t: move(t, True))
        elif isinstance(value, Transformer | Block | Attn | Latent | Mlp | Norm | Rotary | Transform):
            fields = [(f.alias, getattr(value, f.name), f.name[0] == "W") for f in attrs.fields(type(value))]
            parts = {name: _moved(part, move, done, matrix, later) for name, part, matrix in fields}
            done[id(value)] = attrs.evolve(value, **parts)
        else:
            return value
    return done[id(value)]
