"""What a bridge holds, taken as values: shape, norms, attention, MLPs, rotary tables, multipliers and caps.

The bridge is only looked at: attributes that TransformerLens gives every bridge, and the modules inside. What is read
wrongly is seen by the self-check.
"""

from __future__ import annotations

import inspect
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from scrub.anatomy.shape import Shape
from scrub.model.layers import ACTIVATIONS, norm
from scrub.model.weights import NORM_EPS, Attn, BlackBox, Block, Mlp, Norm, Rotary, Transformer

_ACT_NAMES = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "swish": "silu",
}
_ACT_MODULES = {"BloomGelu": "gelu_tanh", "GELUActivation": "gelu", "NewGELUActivation": "gelu_tanh"}
POSITIONS = {"standard": "learned", "rotary": "rotary", "alibi": "alibi", "none": "none"}
# Keys of a configuration that multiply, or divide, what a part of the model gives.
_TIMES = {
    "embedding": ("embedding_multiplier",),
    "residual": ("residual_multiplier",),
    "logits": ("logit_scale",),
}
_DIVIDED = {"logits": ("logits_scaling",)}


def setting(bridge: Any, key: str, default: Any = None) -> Any:
    value = getattr(bridge.cfg, key, None)
    return default if value is None else value


def configuration(bridge: Any) -> dict[str, Any]:
    """The keys of the `config.json` that a bridge comes from, defaults included; none for a native one."""
    config: Any = getattr(bridge.original_model, "config", None)
    return config.to_dict() if hasattr(config, "to_dict") else {}


def _factor(bridge: Any, part: str) -> float | None:
    """By how much a part is multiplied; None for 1."""
    config, found = configuration(bridge), 1.0
    for key in _TIMES[part]:
        found *= config.get(key) or 1.0
    for key in _DIVIDED.get(part, ()):
        found /= config.get(key) or 1.0
    return None if found == 1.0 else found


def _times(tensor: Tensor, factor: float | None) -> Tensor:
    return tensor if factor is None else tensor * factor


def _maybe_times(tensor: Tensor | None, factor: float | None) -> Tensor | None:
    return None if tensor is None else _times(tensor, factor)


def _cap(bridge: Any, key: str, own: str) -> float | None:
    """A cap under the bridge's name or, where it has none, the configuration's own."""
    value = setting(bridge, key, -1.0)
    value = value if value > 0 else configuration(bridge).get(own) or -1.0
    return float(value) if value > 0 else None


def _clip(bridge: Any) -> float | None:
    config = configuration(bridge)
    found = config.get("clip_qkv") or (config.get("attn_config") or {}).get("clip_qkv")
    return float(found) if found else None


@attrs.frozen
class Take:
    """Takes tensors out of a live model: detached, contiguous copies in one dtype, on one device."""

    dtype: torch.dtype
    device: torch.device | str | None

    def __call__(self, tensor: Tensor) -> Tensor:
        # A bridge wraps the caller's own modules: what is taken is a copy, or training on would change a checked
        # model.
        taken = tensor.detach().to(device=self.device or tensor.device, dtype=self.dtype, copy=True)
        return taken.contiguous()

    def maybe(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else self(tensor)

    def swapped(self, tensor: Tensor) -> Tensor:
        """A copy stored with its last two axes exchanged, the layout that matrix products want."""
        return self(tensor.transpose(-1, -2)).transpose(-1, -2)


def taken(bridge: Any, name: str, architecture: str, take: Take) -> Transformer:
    shape = _shape(bridge, architecture)
    rotary = _Rotaries(bridge, shape.n_ctx, take)
    W_E, times = _embedded(bridge, take), _factor(bridge, "logits")
    one = bridge.unembed.weight.data_ptr() == bridge.embed.weight.data_ptr()
    tied = one and times is None and not _changes_embeddings(bridge)
    return Transformer(
        shape=shape,
        W_E=W_E,
        # OPT's table begins with rows that belong to no position.
        W_pos=take(bridge.pos_embed.weight[-shape.n_ctx :]) if shape.positions == "learned" else None,
        blocks=tuple(_block(bridge, layer, shape, rotary.of(layer), take) for layer in range(shape.n_layers)),
        ln_final=_norm(bridge.ln_final, bridge.cfg, take),
        W_U=W_E.T if tied else _times(take(bridge.unembed.weight), times).T,
        b_U=_maybe_times(take.maybe(bridge.unembed.bias), times),
        name=name,
        # Compatibility mode folds norms into the caller's weights, in place: results say which of the two they are
        # of.
        processing="compat" if getattr(bridge, "_weights_processed", False) else "raw",
        logit_cap=_cap(bridge, "output_logits_soft_cap", "final_logit_softcapping"),
    )


def _embedded(bridge: Any, take: Take) -> Tensor:
    """The table of embeddings as they enter the stream: multiplied, and normed where the model norms them."""
    # Gemma multiplies what it looks up, and unembeds by the table itself. Cast first: in half precision the product
    # would be rounded.
    table = take(bridge.embed.weight)
    for factor in _embedding_factors(bridge):
        table = _times(table, factor)
    after = getattr(bridge, "embed_ln", None)
    return table if after is None else norm(_norm(after, bridge.cfg, take), table)


def _embedding_factors(bridge: Any) -> tuple[float | None, ...]:
    """What the table is multiplied by: a factor of the module that looks up, and one of the configuration."""
    module = bridge.embed.original_component
    # The buffer is rounded with the weights; the number that it was made of is not.
    factor = getattr(module, "scalar_embed_scale", getattr(module, "embed_scale", None))
    return (None if factor is None else float(factor), _factor(bridge, "embedding"))


def _changes_embeddings(bridge: Any) -> bool:
    """Whether what enters the stream is another table than the one that is looked up, and unembeds."""
    return any(factor is not None for factor in _embedding_factors(bridge)) or hasattr(bridge, "embed_ln")


def _shape(bridge: Any, architecture: str) -> Shape:
    cfg, first = bridge.cfg, bridge.blocks[0]
    has_mlp = not setting(bridge, "attn_only", False) and hasattr(first, "mlp")
    return Shape(
        family=architecture,
        n_layers=len(bridge.blocks),
        n_heads=cfg.n_heads,
        n_kv_heads=setting(bridge, "n_key_value_heads", cfg.n_heads),
        d_model=cfg.d_model,
        d_head=cfg.d_head,
        d_mlp=_width(bridge, first) if has_mlp else 0,
        d_vocab=bridge.embed.weight.shape[0],
        n_ctx=cfg.n_ctx,
        positions=POSITIONS[str(setting(bridge, "positional_embedding_type", "none")).lower()],
        parallel=bool(setting(bridge, "parallel_attn_mlp", False)),
        causal=setting(bridge, "attention_dir", "causal") == "causal",
        gated=has_mlp and getattr(first.mlp, "gate", None) is not None,
        post_norms=getattr(first, "ln1_post", None) is not None,
    )


def _width(bridge: Any, block: Any) -> int:
    """How many neurons an MLP has; of experts, each."""
    if not _has_experts(block.mlp):
        return block.mlp.W_out.shape[0]
    config = configuration(bridge)
    return next(config[key] for key in ("moe_intermediate_size", "intermediate_size", "ffn_dim") if config.get(key))


def _block(bridge: Any, layer: int, shape: Shape, rotary: Rotary | None, take: Take) -> Block:
    block, has_mlp = bridge.blocks[layer], shape.d_mlp > 0

    def part(name: str) -> Norm | None:
        found = getattr(block, name, None)
        return None if found is None else _norm(found, bridge.cfg, take)

    ln1 = part("ln1") or Norm("none")
    return Block(
        ln1=ln1,
        attn=_attn(bridge, block.attn, shape, rotary, take),
        # Parallel blocks with one norm (GPT-J, Phi) let attention and MLP share it.
        ln2=(part("ln2") or (ln1 if shape.parallel else None)) if has_mlp else None,
        mlp=_mlp(block.mlp, bridge.cfg, take, _factor(bridge, "residual")) if has_mlp else None,
        parallel=shape.parallel,
        post_attn=part("ln1_post"),
        post_mlp=part("ln2_post") if has_mlp else None,
    )


def _norm(ln: Any, cfg: Any, take: Take) -> Norm:
    module = ln.original_component
    if isinstance(module, nn.Identity):
        return Norm("none")
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    kind = "rms" if ln.uses_rms_norm else "layer"
    if weight is not None:
        weight = take(weight) + 1.0 if ln.uses_weight_offset else take(weight)  # cast first, as above
    eps = getattr(module, "eps", getattr(module, "variance_epsilon", getattr(cfg, "eps", NORM_EPS)))
    return Norm(kind, weight, take.maybe(bias) if kind == "layer" else None, float(eps))


def _attn(bridge: Any, attn: Any, shape: Shape, rotary: Rotary | None, take: Take) -> Attn:
    module, times = attn.original_component, _factor(bridge, "residual")
    _expect(attn.W_Q, (shape.n_heads, shape.d_model, shape.d_head), "W_Q")
    _expect(attn.W_K, (shape.n_kv_heads, shape.d_model, shape.d_head), "W_K")
    return Attn(
        W_Q=take.swapped(attn.W_Q),
        W_K=take.swapped(attn.W_K),
        W_V=take.swapped(attn.W_V),
        W_O=_times(take(attn.W_O), times),
        b_Q=take.maybe(attn.b_Q),
        b_K=take.maybe(attn.b_K),
        b_V=take.maybe(attn.b_V),
        b_O=_maybe_times(take.maybe(attn.b_O), times),
        scale=_scale(module, shape.d_head),
        causal=shape.causal,
        window=_window(bridge, module),
        rotary=rotary,
        q_norm=_head_norm(attn, "q_norm", shape.n_heads, bridge.cfg, take),
        k_norm=_head_norm(attn, "k_norm", shape.n_kv_heads, bridge.cfg, take),
        norm_last=bool(setting(bridge, "qk_norm_after_rope", False)),
        cap=_cap(bridge, "attn_scores_soft_cap", "attn_logit_softcapping"),
        slopes=_slopes(bridge, shape, take) if shape.positions == "alibi" else None,
        clip=_clip(bridge),
    )


def _slopes(bridge: Any, shape: Shape, take: Take) -> Tensor:
    """By how much each head's scores fall with every position that a key lies back (Press et al. 2022)."""
    if "mpt" in type(bridge.original_model).__name__.lower():
        from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

        most = bridge.original_model.config.attn_config.alibi_bias_max
        table = build_mpt_alibi_tensor(shape.n_heads, 2, most).flatten(0, -2)
    else:
        from transformers.models.bloom.modeling_bloom import build_alibi_tensor

        # Two positions give each head's slope as the difference of their biases, whatever a table is measured from.
        table = build_alibi_tensor(torch.ones(1, 2), shape.n_heads, torch.float32).flatten(0, -2)
    return take(table[:, 1] - table[:, 0])


def _expect(weight: Tensor, axes: tuple[int, ...], name: str) -> None:
    if weight.shape != axes:
        raise ValueError(f"its {name} is of shape {tuple(weight.shape)}, not {axes}")


def _scale(module: Any, d_head: int) -> float:
    # Hugging Face's modules name the factor; the native ones name the divisor.
    if (factor := getattr(module, "scaling", None)) is not None:
        return float(factor)
    if isinstance(divisor := getattr(module, "scale", None), int | float):
        return 1.0 / float(divisor)
    # The one that tells local attention from global (GPT-Neo's) and names neither does not scale.
    return 1.0 if hasattr(module, "attention_type") else d_head**-0.5


def _window(bridge: Any, module: Any) -> int | None:
    if hasattr(module, "sliding_window"):
        return module.sliding_window
    if hasattr(module, "attention_type"):
        return module.config.window_size if module.attention_type == "local" else None
    config = getattr(bridge.original_model, "config", None)
    return getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None


def _head_norm(attn: Any, which: str, heads: int, cfg: Any, take: Take) -> Norm | None:
    """The norm of each head's vector, or (OLMo 2) of those of all heads as one."""
    ln = getattr(attn, which, None)
    if ln is None:
        return None
    found = _norm(ln, cfg, take)
    if found.weight is not None and found.weight.shape != (heads * cfg.d_head,):
        _expect(found.weight, (cfg.d_head,), f"{which}.weight")
    return found


def _mlp(block_mlp: Any, cfg: Any, take: Take, times: float | None) -> Mlp | BlackBox:
    if _has_experts(block_mlp) and times is None:
        return BlackBox.of(block_mlp.original_component).mapped(take)
    usual = "silu" if hasattr(block_mlp, "gate") else "gelu"
    name = _activation(block_mlp) or str(getattr(cfg, "act_fn", None) or usual)
    act = _ACT_NAMES.get(name.lower(), name.lower())
    if act not in ACTIVATIONS:
        raise ValueError(f"its activation {name!r} is none of {', '.join(ACTIVATIONS)}")
    into, gate = getattr(block_mlp, "in"), getattr(block_mlp, "gate", None)
    return Mlp(
        W_in=take.swapped(block_mlp.W_in),
        W_out=_times(take.swapped(block_mlp.W_out), times),
        act=act,
        b_in=take.maybe(into.bias),
        b_out=_maybe_times(take.maybe(block_mlp.out.bias), times),
        W_gate=None if gate is None else take.swapped(block_mlp.W_gate),
        b_gate=None if gate is None else take.maybe(gate.bias),
    )


def _has_experts(block_mlp: Any) -> bool:
    """Whether an MLP is a mixture of experts, which is taken whole."""
    return "MoE" in type(block_mlp).__name__


def _activation(block_mlp: Any) -> str | None:
    """The activation that an MLP's module holds; some configurations do not name it (BLOOM, MPT, Falcon)."""
    children = {type(child).__name__: child for child in block_mlp.original_component.children()}
    if "GELU" in children:
        return "gelu_tanh" if children["GELU"].approximate == "tanh" else "gelu"
    return next((_ACT_MODULES[name] for name in children if name in _ACT_MODULES), None)


@attrs.frozen
class _Rotaries:
    """The rotary tables of a bridge's layers: one for all, or for each type of layer; some layers may have none."""

    bridge: Any
    n_ctx: int
    take: Take
    known: dict[str | None, Rotary] = attrs.field(factory=dict[str | None, Rotary])  # kept by type of layer

    def of(self, layer: int) -> Rotary | None:
        if str(setting(self.bridge, "positional_embedding_type", "none")).lower() != "rotary":
            return None
        attn: Any = self.bridge.blocks[layer].attn.original_component
        if not getattr(attn, "use_rope", True) or _without_angles(attn):
            return None
        kind = self._kind(layer)
        if kind not in self.known:
            self.known[kind] = _rotary(self.bridge, self.n_ctx, self.take, kind)
        return self.known[kind]

    def _kind(self, layer: int) -> str | None:
        """The type of a layer, where rotary angles differ by it."""
        rotary: Any = getattr(getattr(self.bridge, "rotary_emb", None), "original_component", None)
        if rotary is None or "layer_type" not in inspect.signature(rotary.forward).parameters:
            return None
        return self.bridge.original_model.config.layer_types[layer]


def _without_angles(attn: Any) -> bool:
    """Whether a layer that sees everything has no rotary angles, where those that see a window have them."""
    if type(attn).__name__ not in ("Cohere2Attention", "Exaone4Attention") or not attn.config.sliding_window:
        return False
    return not getattr(attn, "is_sliding", getattr(attn, "sliding_window", None))


def _rotary(bridge: Any, n_ctx: int, take: Take, kind: str | None) -> Rotary:
    native = getattr(bridge.original_model, "rotary", None)
    if native is not None and hasattr(native, "cos_cached"):
        return Rotary(take(native.cos_cached), take(native.sin_cached), interleaved=True)
    joint = getattr(bridge.blocks[0].attn.original_component, "embed_positions", None)
    if isinstance(joint, Tensor):
        sin, cos = (take(table.repeat_interleave(2, dim=-1)) for table in joint[:n_ctx].chunk(2, dim=-1))
        return Rotary(cos, sin, interleaved=True)
    module = bridge.rotary_emb.original_component
    # Such angles would differ between a row alone and the same row in a padded batch.
    if getattr(module, "rope_type", "default") in ("dynamic", "longrope"):
        raise ValueError(f"its {module.rope_type} rotary angles depend on the length of the row")
    positions = torch.arange(n_ctx, device=bridge.embed.weight.device)[None]
    cos, sin = module(torch.zeros(1, device=positions.device), positions, *([] if kind is None else [kind]))
    half = cos.shape[-1] // 2
    # A half-split table repeats the angles of its first half in the second; the other kind, in neighbours.
    paired = not torch.equal(cos[..., :half], cos[..., half:])
    if not paired and setting(bridge, "rotary_adjacent_pairs", False):  # (GLM, Ernie) spreads it as it turns
        cos, sin = (table[..., :half].repeat_interleave(2, dim=-1) for table in (cos, sin))
        paired = True
    return Rotary(take(cos[0]), take(sin[0]), interleaved=paired)
