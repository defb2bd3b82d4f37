"""What a bridge holds, taken as values: shape, norms, attention, MLPs, rotary tables, multipliers and caps.

The bridge is only looked at: attributes that TransformerLens gives every bridge, and the modules inside. What is read
wrongly is seen by the self-check.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from scrub.anatomy.shape import Shape
from scrub.model.angles import Rotaries
from scrub.model.attention import attention_of, is_latent
from scrub.model.experts import BlackBox
from scrub.model.later import Later
from scrub.model.layers import ACTIVATIONS, norm
from scrub.model.places import beside
from scrub.model.take import (
    Take,
    cap_of,
    configuration,
    factor,
    maybe_multiplied,
    multiplied,
    norm_of,
    setting,
    text_config,
)
from scrub.model.weights import Attn, Block, Mlp, Norm, Rotary, Transform, Transformer

_ACT_NAMES = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "swish": "silu",
    "solu_ln": "solu",  # the norm is a part of its own
}
_ACT_MODULES = {"BloomGelu": "gelu_tanh", "GELUActivation": "gelu", "NewGELUActivation": "gelu_tanh"}
POSITIONS = {"standard": "learned", "rotary": "rotary", "alibi": "alibi", "none": "none"}


def taken(bridge: Any, name: str, architecture: str, take: Take) -> Transformer:
    shape = shape_of(bridge, architecture)
    rotary = Rotaries(bridge, shape.n_ctx, take)
    W_E, times = _embedded(bridge, take), factor(bridge, "logits")
    one = bridge.unembed.weight.data_ptr() == bridge.embed.weight.data_ptr()
    tied = one and times is None and not _changes_embeddings(bridge)
    return Transformer(
        shape=shape,
        W_E=W_E,
        W_pos=_positions(bridge, shape.n_ctx, take) if shape.positions == "learned" else None,
        blocks=tuple(_block(bridge, layer, shape, rotary.of(layer), take) for layer in range(shape.n_layers)),
        ln_final=norm_of(bridge.ln_final, bridge.cfg, take) if hasattr(bridge, "ln_final") else Norm("none"),
        W_U=W_E.T if tied else _projected(bridge, "project_out", take.times(bridge.unembed.weight, times), take).T,
        b_U=maybe_multiplied(take.maybe(bridge.unembed.bias), times),
        name=name,
        # Compatibility mode folds norms into the caller's weights, in place: results say which of the two they are
        # of.
        processing="compat" if getattr(bridge, "_weights_processed", False) else "raw",
        stream_embed=norm_of(bridge.embed_ln, bridge.cfg, take) if _normed_embeddings(bridge, shape) else None,
        b_E=_first_type(bridge, take),
        transform=_transform(bridge, take),
        counted_past=_counted_past(bridge),
        logit_cap=cap_of(bridge, "output_logits_soft_cap", "final_logit_softcapping"),
        lending=take.lending,
    )


def _embedded(bridge: Any, take: Take) -> Tensor:
    """The table of embeddings as they enter the stream: multiplied, and normed where the model norms them."""
    # Gemma multiplies what it looks up, and unembeds by the table itself. Cast first: in half precision the product
    # would be rounded.
    precisely = take.precisely if _changes_embeddings(bridge) else take
    table = _projected(bridge, "project_in", precisely(bridge.embed.weight), take)
    for by in _embedding_factors(bridge):
        table = multiplied(table, by)
    after = _norm_of_embeddings(bridge)
    return table if after is None else norm(norm_of(after, bridge.cfg, take), table)


def _projected(bridge: Any, name: str, table: Tensor, take: Take) -> Tensor:
    """A table of narrower vectors in the width of the stream, by the matrix between them (OPT-350m)."""
    decoder = getattr(getattr(bridge.original_model, "model", None), "decoder", None)
    matrix = getattr(decoder, name, None)
    if matrix is None:
        return table
    table = take.precisely(table)
    weight = beside(table, take.precisely(matrix.weight))
    return table @ (weight.T if name == "project_in" else weight)


def _embedding_factors(bridge: Any) -> tuple[float | None, ...]:
    """What the table is multiplied by: a factor of the module that looks up, and one of the configuration."""
    module = bridge.embed.original_component
    # The buffer is rounded with the weights; the number that it was made of is not.
    own = getattr(module, "scalar_embed_scale", getattr(module, "embed_scale", None))
    return (None if own is None else float(own), factor(bridge, "embedding"))


def _changes_embeddings(bridge: Any) -> bool:
    """Whether what enters the stream is another table than the one that is looked up, and unembeds."""
    multiplied_by = any(by is not None for by in _embedding_factors(bridge))
    narrower = bridge.embed.weight.shape[1] != bridge.cfg.d_model
    return multiplied_by or narrower or _norm_of_embeddings(bridge) is not None


def _norm_of_embeddings(bridge: Any) -> Any:
    """The norm that embeddings pass before they enter the stream (BLOOM); NanoChat's is its last one."""
    if norms_the_stream(bridge):  # with the positions: part of the stream
        return None
    last = bridge.ln_final if "NanoChat" in type(bridge.original_model).__name__ else None
    return getattr(bridge, "embed_ln", last)


def _positions(bridge: Any, n_ctx: int, take: Take) -> Tensor:
    """The table of positions that is added: learned, or (XGLM) of sines, which stands in no file."""
    if hasattr(bridge, "pos_embed"):
        return take(bridge.pos_embed.weight[-n_ctx:])
    sines = bridge.original_model.model.embed_positions
    return take(sines.weights[sines.offset : sines.offset + n_ctx])


def shape_of(bridge: Any, architecture: str) -> Shape:
    """What is known of a model without its weights; they may be missing (on torch's `meta` device)."""
    cfg, first = bridge.cfg, bridge.blocks[0]
    has_mlp = not setting(bridge, "attn_only", False) and hasattr(first, "mlp")
    latent = is_latent(first.attn)
    return Shape(
        family=architecture,
        n_layers=len(bridge.blocks),
        n_heads=cfg.n_heads,
        n_kv_heads=cfg.n_heads if latent else setting(bridge, "n_key_value_heads", cfg.n_heads),
        d_model=cfg.d_model,
        d_head=first.attn.original_component.v_head_dim if latent else cfg.d_head,
        d_mlp=_width(bridge, first) if has_mlp else 0,
        d_vocab=bridge.embed.weight.shape[0],
        n_ctx=cfg.n_ctx,
        positions=POSITIONS[str(setting(bridge, "positional_embedding_type", "none")).lower()],
        parallel=bool(setting(bridge, "parallel_attn_mlp", False)),
        causal=_causal(bridge),
        gated=has_mlp and getattr(first.mlp, "gate", None) is not None,
        post_norms=getattr(first, "ln1_post", None) is not None,
        stream_norms=norms_the_stream(bridge),
    )


def _causal(bridge: Any) -> bool:
    decoder = getattr(text_config(bridge), "is_decoder", False) and norms_the_stream(bridge)
    return bool(decoder) or setting(bridge, "attention_dir", "causal") == "causal"


def norms_the_stream(bridge: Any) -> bool:
    """Whether layers are of the form of 2017: the stream itself is normed after attention and after the MLP."""
    module = bridge.original_model
    after = getattr(text_config(bridge), "do_layer_norm_before", True) is False  # OPT-350m
    return after or type(module).__module__.split(".")[-2:-1] in (["bert"], ["roberta"], ["openai"])


def _normed_embeddings(bridge: Any, shape: Shape) -> bool:
    return shape.stream_norms and hasattr(bridge, "embed_ln")


def _first_type(bridge: Any, take: Take) -> Tensor | None:
    """What a token of the first type adds to its embedding (BERT): all of them are of that type here."""
    types = getattr(bridge, "token_type_embed", None)
    return None if types is None else take.precisely(types.weight[0])


def _counted_past(bridge: Any) -> int | None:
    """The token that positions are counted past (RoBERTa)."""
    return text_config(bridge).pad_token_id if hasattr(bridge.original_model, "roberta") else None


def _transform(bridge: Any, take: Take) -> Transform | None:
    dense = getattr(bridge, "mlm_head", None)
    if dense is None:
        return None
    act = str(getattr(bridge.cfg, "act_fn", None) or "gelu").lower()
    return Transform(take.swapped(dense.weight.T), take.precisely(dense.bias), _ACT_NAMES.get(act, act))


def _width(bridge: Any, block: Any) -> int:
    """How many neurons an MLP has; of experts, each."""
    if not _has_experts(block.mlp):
        return block.mlp.out.original_component.weight.numel() // bridge.cfg.d_model
    config = configuration(bridge)
    return next(config[key] for key in ("moe_intermediate_size", "intermediate_size", "ffn_dim") if config.get(key))


def _block(bridge: Any, layer: int, shape: Shape, rotary: Rotary | None, take: Take) -> Block:
    block, has_mlp = bridge.blocks[layer], shape.d_mlp > 0

    def part(name: str) -> Norm | None:
        found = getattr(block, name, None)
        return None if found is None else norm_of(found, bridge.cfg, take)

    attn = take.part(Attn, lambda: attention_of(bridge, block.attn, shape, rotary, take))
    if shape.stream_norms:
        return Block(
            ln1=Norm("none"),
            attn=attn,
            mlp=_mlp(block.mlp, bridge.cfg, take, None),
            stream_attn=part("ln1"),
            stream_mlp=part("ln2"),
        )
    ln1 = part("ln1") or Norm("none")
    return Block(
        ln1=ln1,
        attn=attn,
        # Parallel blocks with one norm (GPT-J, Phi) let attention and MLP share it.
        ln2=(part("ln2") or (ln1 if shape.parallel else None)) if has_mlp else None,
        mlp=_mlp(block.mlp, bridge.cfg, take, factor(bridge, "residual")) if has_mlp else None,
        parallel=shape.parallel,
        post_attn=part("ln1_post"),
        post_mlp=part("ln2_post") if has_mlp else None,
    )


def _mlp(block_mlp: Any, cfg: Any, take: Take, times: float | None) -> Mlp | BlackBox | Later[Mlp] | Later[BlackBox]:
    if _has_experts(block_mlp) or _has_learned_activation(block_mlp):
        whole = block_mlp.original_component
        return take.part(BlackBox, lambda: BlackBox.of(whole, times or 1.0).mapped(take))
    return take.part(Mlp, partial(_known_mlp, block_mlp, cfg, take, times))


def _known_mlp(block_mlp: Any, cfg: Any, take: Take, times: float | None) -> Mlp:
    usual = "silu" if hasattr(block_mlp, "gate") else "gelu"
    name = _activation(block_mlp) or str(getattr(cfg, "act_fn", None) or usual)
    act = _ACT_NAMES.get(name.lower(), name.lower())
    if act not in ACTIVATIONS:
        raise ValueError(
            f"its activation {name!r} is none of {', '.join(ACTIVATIONS)} (act_fn, or hidden_act, says it)"
        )
    into, gate, ln = getattr(block_mlp, "in"), getattr(block_mlp, "gate", None), getattr(block_mlp, "ln", None)
    return Mlp(
        W_in=take.swapped(block_mlp.W_in),
        W_out=take.swapped(block_mlp.W_out, times),
        act=act,
        b_in=take.maybe(into.bias),
        b_out=maybe_multiplied(take.maybe(block_mlp.out.bias), times),
        W_gate=None if gate is None else take.swapped(block_mlp.W_gate),
        b_gate=None if gate is None else take.maybe(gate.bias),
        ln=None if ln is None else norm_of(ln, cfg, take),
    )


def _has_experts(block_mlp: Any) -> bool:
    """Whether an MLP is a mixture of experts, which is taken whole."""
    return "MoE" in type(block_mlp).__name__


def _has_learned_activation(block_mlp: Any) -> bool:
    """Whether its activation has weights of its own (Apertus' xIELU): it is taken whole, too."""
    return any(hasattr(child, "alpha_p") for child in block_mlp.original_component.children())


def _activation(block_mlp: Any) -> str | None:
    """The activation that an MLP's module holds; some configurations do not name it (BLOOM, MPT, Falcon)."""
    children = {type(child).__name__: child for child in block_mlp.original_component.children()}
    if "GELU" in children:
        return "gelu_tanh" if children["GELU"].approximate == "tanh" else "gelu"
    return next((_ACT_MODULES[name] for name in children if name in _ACT_MODULES), None)
