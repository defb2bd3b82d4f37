"""A tiny random model of an architecture of Hugging Face's, every bias and norm away from its neutral start."""

from __future__ import annotations

from typing import Any

import torch

_LAYERS = "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers"
_HEADS = (
    "num_attention_heads n_head n_heads num_heads attention_heads decoder_attention_heads encoder_attention_heads"
)
_WIDTHS = "hidden_size n_embd d_model word_embed_proj_dim embed_dim"
_MLPS = "intermediate_size ffn_dim d_ff n_inner ffn_hidden_size decoder_ffn_dim encoder_ffn_dim"
_EXPERTS = "moe_intermediate_size shared_expert_intermediate_size moe_shared_expert_intermediate_size"
_CONTEXTS = "max_position_embeddings n_positions n_ctx max_seq_len"
_SIZES: dict[str, Any] = {
    **dict.fromkeys(_LAYERS.split(), 4), **dict.fromkeys(_HEADS.split(), 4), **dict.fromkeys(_WIDTHS.split(), 16),
    **dict.fromkeys(_MLPS.split(), 24), **dict.fromkeys(_EXPERTS.split(), 12), **dict.fromkeys(_CONTEXTS.split(), 24),
    "num_key_value_heads": 2, "num_kv_heads": 2, "head_dim": 4, "vocab_size": 31, "type_vocab_size": 2,
    "initializer_range": 0.4, "init_std": 0.4, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
    # experts, and attention through latents
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "moe_num_experts": 4, "num_experts_per_tok": 2,
    "moe_k": 2, "n_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
    "expert_layer_period": 1, "decoder_sparse_step": 1, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4, "v_head_dim": 6, "index_n_heads": 2, "index_head_dim": 4, "index_topk": 4,
    # windows, caps and multipliers, so that what does not read them is seen
    "sliding_window": 3, "rotary_dim": 2, "query_pre_attn_scalar": 4, "attn_logit_softcapping": 2.0,
    "final_logit_softcapping": 2.0, "embedding_multiplier": 1.7, "residual_multiplier": 0.6, "logits_scaling": 1.4,
    "attention_multiplier": 0.4, "hidden_size_per_layer_input": 4, "vocab_size_per_layer_input": 31,
    # recurrent layers
    "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_expand": 2, "mamba_d_state": 4, "mamba_d_ssm": 32, "state_size": 4,
    "mamba_num_heads": 4, "mamba_head_dim": 8, "ssm_state_size": 4, "lru_width": 16,
}  # fmt: skip
_BY_PLACE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 0]}
_NO_CAPS = {"attn_logit_softcapping": None, "final_logit_softcapping": None}  # as published
# What single architectures need to be built so small, or to show what they are.
_OWN: dict[str, dict[str, Any]] = {
    "GPTNeoForCausalLM": {"attention_types": [[["global", "local"], 2]], "window_size": 4},
    "JambaForCausalLM": {"expert_layer_offset": 0, "attn_layer_period": 2, "attn_layer_offset": 1},
    "Lfm2MoeForCausalLM": {"layer_types": ["conv", "full_attention"] * 2, "num_dense_layers": 1},
    "Lfm2ForCausalLM": {"layer_types": ["conv", "full_attention"] * 2},
    "Mamba2ForCausalLM": {"num_heads": 4, "head_dim": 8, "n_groups": 1},
    "Zamba2ForCausalLM": {"layers_block_type": ["mamba", "hybrid"] * 2},
    "RobertaForMaskedLM": {"max_position_embeddings": 25},
    "XGLMForCausalLM": {"attention_heads": 4},
    "Gemma3ForCausalLM": _NO_CAPS,
    "StableLmForCausalLM": {"partial_rotary_factor": 0.5},
    "Gemma3ForConditionalGeneration": {"text_config": {**_NO_CAPS, "model_type": "gemma3_text"}},
    "Qwen2_5_VLForConditionalGeneration": {"text_config": {"rope_parameters": _BY_PLACE}},
    "Glm4vForConditionalGeneration": {"text_config": {"rope_parameters": _BY_PLACE}},
    "Emu3ForConditionalGeneration": {"vocabulary_map": {"<image>": 1}},
    "OlmoForCausalLM": {"clip_qkv": 0.7},
}


# Names that published files have, or TransformerLens, and the classes of `transformers` that read those files.
CLASSES = {
    "Gemma1ForCausalLM": "GemmaForCausalLM", "JetMoEForCausalLM": "JetMoeForCausalLM",
    "MPTForCausalLM": "MptForCausalLM",
    "NeoForCausalLM": "GPTNeoForCausalLM", "NeoXForCausalLM": "GPTNeoXForCausalLM",
    "PhiMoEForCausalLM": "PhimoeForCausalLM",
}  # fmt: skip


def tiny(name: str, seed: int = 0, **changes: Any) -> torch.nn.Module:
    """A model of a class of `transformers`, about ten thousand numbers large, in fp32 and eval mode."""
    import transformers

    made = getattr(transformers, CLASSES.get(name, name))
    config = _config(made.config_class, {**_OWN.get(made.__name__, {}), **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = made(config).eval()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def _config(kind: Any, own: dict[str, Any]) -> Any:
    try:
        usual = kind().to_dict()
    except Exception:  # a configuration that has no defaults
        usual = _SIZES
    renamed: dict[str, str] = getattr(kind, "attribute_map", {})
    sizes = {key: value for key, value in _SIZES.items() if key in usual or key in renamed}
    for alias, key in renamed.items():
        if alias in sizes and key in sizes:
            del sizes[alias]
    inner: dict[str, Any] = getattr(kind, "sub_configs", {})
    parts = {key: _part(usual.get(key), part) for key, part in inner.items()}
    given = {**sizes, **{key: part for key, part in parts.items() if part is not None}}
    merged = {key: _merged(given.get(key), value) for key, value in own.items()}
    return kind(**{**given, **merged})


def _merged(usual: Any, own: Any) -> Any:
    return {**usual, **own} if isinstance(usual, dict) and isinstance(own, dict) else own


def _part(usual: Any, kind: Any) -> dict[str, Any] | None:
    """A configuration inside another, made small."""
    from transformers import CONFIG_MAPPING

    if isinstance(usual, dict) and usual.get("model_type") in CONFIG_MAPPING:
        kind = CONFIG_MAPPING[usual["model_type"]]
    try:
        return _config(kind, {}).to_dict()
    except Exception:
        return None
