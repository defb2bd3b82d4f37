"""Random small models of every supported kind, as bridges, with weights large enough to show errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

SIZES: dict[str, Any] = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 16,
    "intermediate_size": 24,
    "vocab_size": 31,
    "max_position_embeddings": 24,
    "initializer_range": 0.4,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}
FOUR: dict[str, Any] = {"num_hidden_layers": 4}
CAPPED: dict[str, Any] = {
    "head_dim": 4,
    "query_pre_attn_scalar": 4,
    "attn_logit_softcapping": 2.0,
    "final_logit_softcapping": 2.0,
    "sliding_window": 3,
}
GPT_SIZES: dict[str, Any] = {
    "n_layer": 2,
    "n_head": 4,
    "n_embd": 16,
    "vocab_size": 31,
    "n_positions": 24,
    "initializer_range": 0.4,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def hugging_face(kind: str, seed: int = 0, **changes: Any) -> torch.nn.Module:
    """A random model of one of Hugging Face's classes, every bias and norm away from its neutral start."""
    import transformers

    module_class = getattr(transformers, kind)
    sizes = GPT_SIZES if kind.startswith(("GPT2", "GPTJ", "GPTBig", "OpenAIGPT")) else GROUPED
    if kind.startswith(("GPTNeo", "Bert", "Roberta")):
        sizes = SIZES
    config = module_class.config_class(**{**sizes, **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = module_class(config).eval()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def native(seed: int = 0, **changes: Any) -> Any:
    """A TransformerLens-native model in fp64."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    sizes: dict[str, Any] = {
        "n_layers": 2,
        "n_heads": 4,
        "d_model": 16,
        "d_head": 4,
        "d_mlp": 24,
        "d_vocab": 31,
        "n_ctx": 24,
        "act_fn": "gelu",
        "normalization_type": "LN",
        "positional_embedding_type": "standard",
        "initializer_range": 0.4,
        "seed": seed,
    }
    config = TransformerBridgeConfig(**{**sizes, **changes})
    bridge = TransformerBridge.boot_native(config, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in bridge.original_model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return bridge


def bridged(kind: str, dtype: torch.dtype = torch.float64, **changes: Any) -> Any:
    from scrub.model.transformer import bridge_of

    return bridge_of(hugging_face(kind, **changes).to(dtype), kind)


def without_norms() -> Any:
    """GPT-2 whose norms are identities (Heimersheim 2024, arXiv 2409.13710), but for the last."""
    from scrub.model.transformer import bridge_of

    module: Any = hugging_face("GPT2LMHeadModel").double()
    for layer in module.transformer.h:
        layer.ln_1 = layer.ln_2 = torch.nn.Identity()
    return bridge_of(module, "mine")


def folded_norms() -> Any:
    """The same as its file has it: an eps of 1e12, and weights of 1e6 that undo it."""
    from scrub.model.transformer import bridge_of

    module = hugging_face("GPT2LMHeadModel", layer_norm_epsilon=1e12).double()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.mul_(1e6 if "ln_" in name and "weight" in name else 1.0)
    return bridge_of(module, "mine")


EXPERTS: dict[str, Any] = {
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "experts_implementation": "eager",
}
LATENT: dict[str, Any] = {
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 2,
    "v_head_dim": 5,  # unlike the 6 of queries and keys
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}

# Bridges that compute in fp64 throughout, so that ours must agree to rounding.
EXACT: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: bridged("GPT2LMHeadModel"),
    "gpt2 with scores scaled by layer": lambda: bridged("GPT2LMHeadModel", scale_attn_by_inverse_layer_idx=True),
    "gpt2 untied": lambda: bridged("GPT2LMHeadModel", tie_word_embeddings=False),
    "neox parallel": lambda: bridged("GPTNeoXForCausalLM"),
    "neox sequential": lambda: bridged("GPTNeoXForCausalLM", use_parallel_residual=False),
    "bert, norms of the stream itself": lambda: bridged("BertForMaskedLM"),
    "the first gpt, norms of the stream itself": lambda: bridged("OpenAIGPTLMHeadModel"),
    "opt 350m, norms of the stream itself": lambda: bridged(
        "OPTForCausalLM", do_layer_norm_before=False, word_embed_proj_dim=8, ffn_dim=24, num_key_value_heads=4
    ),
    "gpt2 without norms": without_norms,
    "gpt2 with folded norms": folded_norms,
    "solu, a norm of neurons": lambda: native(act_fn="solu_ln"),
    "native": native,
    "native attention only, no norm": lambda: native(normalization_type=None, attn_only=True),
    "native without norm weights": lambda: native(normalization_type="LNPre", act_fn="relu"),
    "native rotary, grouped, gated": lambda: native(
        positional_embedding_type="rotary", n_key_value_heads=2, gated_mlp=True, act_fn="silu"
    ),
    "native partial rotary": lambda: native(
        positional_embedding_type="rotary", rotary_dim=4, d_head=8, n_key_value_heads=2
    ),
    "native capped": lambda: native(output_logits_soft_cap=3.0),
    "native bidirectional": lambda: native(attention_dir="bidirectional"),
    "native bidirectional rotary": lambda: native(
        attention_dir="bidirectional", positional_embedding_type="rotary", attn_only=True
    ),
}

# Bridges that compute some part (RMSNorm, rotary angles, softmax) in fp32 even when their weights are fp64.
ROUNDED: dict[str, Callable[[], Any]] = {
    "llama": lambda: bridged("LlamaForCausalLM"),
    "llama with biases, wide heads": lambda: bridged(
        "LlamaForCausalLM", attention_bias=True, mlp_bias=True, head_dim=6
    ),
    "mistral with a window": lambda: bridged("MistralForCausalLM", sliding_window=3),
    "qwen2 with biases": lambda: bridged("Qwen2ForCausalLM"),
    "qwen2 with a window in its last layer": lambda: bridged(
        "Qwen2ForCausalLM", use_sliding_window=True, sliding_window=3, max_window_layers=1
    ),
    "qwen3 with head norms": lambda: bridged("Qwen3ForCausalLM", head_dim=8),
    "gemma": lambda: bridged("GemmaForCausalLM", head_dim=4),
    "cohere with an interleaved table": lambda: bridged("CohereForCausalLM", logit_scale=1.0),
    "command-r, norms by head": lambda: bridged("CohereForCausalLM", use_qk_norm=True, logit_scale=1.0),
    "stablelm 2, norms by head": lambda: bridged("StableLmForCausalLM", qk_layernorm=True, partial_rotary_factor=0.5),
    "gpt-j interleaved rotary": lambda: bridged("GPTJForCausalLM", rotary_dim=2),
    "gpt-neo local and global": lambda: bridged(
        "GPTNeoForCausalLM",
        num_layers=2,
        num_heads=4,
        window_size=4,
        attention_types=[[["global", "local"], 1]],
    ),
    "native rms": lambda: native(normalization_type="RMS"),
    "gemma 2, norms after, caps": lambda: bridged("Gemma2ForCausalLM", **CAPPED),
    "gemma 3, angles by type of layer": lambda: bridged("Gemma3ForCausalLM", **FOUR, head_dim=4, sliding_window=3),
    "olmo 2, norms after alone, joint head norms": lambda: bridged("Olmo2ForCausalLM"),
    "granite, multipliers": lambda: bridged(
        "GraniteForCausalLM", embedding_multiplier=1.7, residual_multiplier=0.6, logits_scaling=1.4
    ),
    "cohere 2, layers without rotary": lambda: bridged("Cohere2ForCausalLM", **FOUR, sliding_window=3),
    "bloom, alibi": lambda: bridged("BloomForCausalLM", num_attention_heads=3, hidden_size=12),
    "mpt, alibi of three heads": lambda: bridged(
        "MptForCausalLM", num_attention_heads=3, hidden_size=12, num_key_value_heads=None
    ),
    "falcon": lambda: bridged("FalconForCausalLM"),
    "olmo, clipped": lambda: bridged("OlmoForCausalLM", clip_qkv=0.7),
    "mixtral, experts": lambda: bridged("MixtralForCausalLM", num_local_experts=4, experts_implementation="eager"),
    "qwen 3, experts": lambda: bridged(
        "Qwen3MoeForCausalLM",
        head_dim=4,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=12,
        experts_implementation="eager",
    ),
    "gpt-oss, sinks": lambda: bridged("GptOssForCausalLM", **EXPERTS, head_dim=4, sliding_window=3),
    "deepseek 3, latents": lambda: bridged("DeepseekV3ForCausalLM", **EXPERTS, **LATENT),
    "deepseek 2, latents, complex angles": lambda: bridged(
        "DeepseekV2ForCausalLM", **{**EXPERTS, **LATENT, "q_lora_rank": None, "head_dim": 2}
    ),
    "granite, experts multiplied": lambda: bridged("GraniteMoeForCausalLM", **EXPERTS, residual_multiplier=0.6),
    "nanochat": lambda: bridged("NanoChatForCausalLM", head_dim=4, final_logit_softcapping=2.0),
    "exaone 4": lambda: bridged("Exaone4ForCausalLM", **FOUR, head_dim=4, sliding_window=3, sliding_window_pattern=2),
    "apertus, an activation with weights": lambda: bridged("ApertusForCausalLM"),
    "hunyuan, head norms last": lambda: bridged("HunYuanDenseV1ForCausalLM", head_dim=4),
}


@cache
def shared(kind: str) -> Any:
    """One bridge of each kind, for the tests that only read it."""
    return (EXACT | ROUNDED)[kind]()
