"""The attention of a layer of a bridge, taken as values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from scrub.anatomy.shape import Shape
from scrub.model.take import (
    Take,
    cap_of,
    clip_of,
    expect,
    factor,
    maybe_multiplied,
    norm_of,
    setting,
    text_config,
)
from scrub.model.weights import Attn, Latent, Norm, Rotary


def attention_of(bridge: Any, attn: Any, shape: Shape, rotary: Rotary | None, take: Take) -> Attn:
    module, times = attn.original_component, factor(bridge, "residual")
    if is_latent(attn):
        return _latent_attention(module, shape, rotary, take)
    expect(attn.W_Q, (shape.n_heads, shape.d_model, shape.d_head), "W_Q")
    expect(attn.W_K, (shape.n_kv_heads, shape.d_model, shape.d_head), "W_K")
    return Attn(
        W_Q=take.swapped(attn.W_Q),
        W_K=take.swapped(attn.W_K),
        W_V=take.swapped(attn.W_V),
        W_O=take.times(attn.W_O, times),
        b_Q=take.maybe(attn.b_Q),
        b_K=take.maybe(attn.b_K),
        b_V=take.maybe(attn.b_V),
        b_O=maybe_multiplied(take.maybe(attn.b_O), times),
        scale=_scale(module, shape.d_head),
        causal=shape.causal,
        window=_window(bridge, module),
        rotary=rotary,
        q_norm=_head_norm(attn, "q_norm", shape.n_heads, bridge.cfg, take),
        k_norm=_head_norm(attn, "k_norm", shape.n_kv_heads, bridge.cfg, take),
        norm_last=bool(setting(bridge, "qk_norm_after_rope", False)) or type(module).__name__ == "NanoChatAttention",
        cap=cap_of(bridge, "attn_scores_soft_cap", "attn_logit_softcapping"),
        slopes=_slopes(bridge, shape, take).to(attn.W_Q.device) if shape.positions == "alibi" else None,
        clip=clip_of(bridge),
        sinks=take.maybe(getattr(module, "sinks", None)),
    )


def is_latent(attn: Any) -> bool:
    """Whether queries, keys and values are made of latents (multi-head latent attention)."""
    return hasattr(attn.original_component, "kv_b_proj")


def _latent_attention(module: Any, shape: Shape, rotary: Rotary | None, take: Take) -> Attn:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, eq. 9-19) as heads with keys of their own.

    The coordinates that turn come first here, and last there: the scores are the same. Keys read the latent and,
    behind it, what turns, which is one for all heads.
    """
    heads, rank = shape.n_heads, module.kv_lora_rank
    turning, still, wide = module.qk_rope_head_dim, module.qk_nope_head_dim, module.v_head_dim

    def of_heads(linear: Any, parts: list[int]) -> tuple[Tensor, ...]:
        return linear.weight.unflatten(0, (heads, sum(parts))).transpose(1, 2).split(parts, dim=-1)

    own = module.q_lora_rank is None
    q_still, q_turning = of_heads(module.q_proj if own else module.q_b_proj, [still, turning])
    k_still, v = of_heads(module.kv_b_proj, [still, wide])
    apart = torch.zeros(turning, still).to(k_still).expand(heads, -1, -1)
    through = torch.eye(turning).to(k_still).expand(heads, -1, -1)
    return Attn(
        W_Q=take.swapped(torch.cat((q_turning, q_still), dim=-1)),
        W_K=take.swapped(torch.cat((pad(through, (0, 0, rank, 0)), torch.cat((k_still, apart), dim=1)), dim=-1)),
        W_V=take.swapped(pad(v, (0, 0, 0, turning))),
        W_O=take(module.o_proj.weight.T.unflatten(0, (heads, wide))),
        b_O=take.maybe(module.o_proj.bias),
        scale=float(module.scaling),
        rotary=rotary,
        q_latent=None if own else _latent(module.q_a_proj, module.q_a_layernorm, take),
        kv_latent=_latent(module.kv_a_proj_with_mqa, module.kv_a_layernorm, take),
    )


def _latent(down: Any, ln: Any, take: Take) -> Latent:
    down, ln = (getattr(part, "original_component", part) for part in (down, ln))
    norm = Norm("rms", take.precisely(ln.weight), eps=float(ln.variance_epsilon))
    return Latent(take.swapped(down.weight.T), norm, take.maybe(down.bias))


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
    return take.precisely(table[:, 1] - table[:, 0])


def _scale(module: Any, d_head: int) -> float:
    # Hugging Face's modules name the factor; the native ones name the divisor.
    if (factor := getattr(module, "scaling", None)) is not None:
        return float(factor)
    divisor = getattr(module, "scale", None)
    if isinstance(divisor, int | float) and not isinstance(divisor, bool):
        return 1.0 / float(divisor)
    # The one that tells local attention from global (GPT-Neo's) and names neither does not scale.
    return 1.0 if hasattr(module, "attention_type") else d_head**-0.5


def _window(bridge: Any, module: Any) -> int | None:
    if hasattr(module, "sliding_window"):
        return module.sliding_window if getattr(module, "is_sliding", True) else None
    if hasattr(module, "attention_type"):
        return module.config.window_size if module.attention_type == "local" else None
    config = text_config(bridge)
    return getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None


def _head_norm(attn: Any, which: str, heads: int, cfg: Any, take: Take) -> Norm | None:
    """The norm of each head's vector, by weights of its own (Command-R) or not, or (OLMo 2) of all heads' as one."""
    ln = getattr(attn, which, None)
    if ln is None:
        return None
    found = norm_of(ln, cfg, take)
    if found.weight is not None and found.weight.shape not in ((heads * cfg.d_head,), (heads, cfg.d_head)):
        expect(found.weight, (cfg.d_head,), f"{which}.weight")
    return found
