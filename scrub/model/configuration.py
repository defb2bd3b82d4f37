"""Which keys of a Hugging Face `config.json` change what is computed, and which of them are read here.

The self-check sees a key only where it acts on the rows that were checked: a clip at 8 may wait for the row that
reaches 8. So a key that changes the function and is not read is refused by name, and one that is in none of these
lists is told.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scrub.model.architectures import of_family


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Read by the adapter or by TransformerLens, or visible in the weights; always at work, so that the check sees them.
_READ = _words("""
    activation activation_function afn hidden_act hidden_activation
    hidden_size n_embd d_model head_dim intermediate_size n_inner ffn_dim ffn_hidden_size word_embed_proj_dim
    block_auto_adjust_ff_dim block_ffn_dim_multiplier block_multiple_of
    num_hidden_layers n_layer num_layers num_attention_heads n_head num_heads num_key_value_heads num_kv_heads
    vocab_size max_position_embeddings n_positions n_ctx original_max_position_embeddings type_vocab_size
    attention_bias attention_out_bias mlp_bias bias use_bias use_qkv_bias enable_bias conv_bias conv_L_cache
    layer_norm_eps layer_norm_epsilon norm_eps norm_epsilon rms_norm_eps layer_norm_elementwise_affine
    use_qk_norm qk_layernorm do_layer_norm_before _remove_final_layer_norm
    rope_parameters rope_scaling rope_theta rotary_dim rotary_pct rotary_emb_base partial_rotary_factor
    sliding_window use_sliding_window max_window_layers layer_types window_size attention_types attention_layers
    sliding_window_pattern _sliding_window_pattern full_attn_idxs no_rope_layer_interval
    attention_multiplier query_pre_attn_scalar scale_attn_by_inverse_layer_idx scale_attn_weights scale_embedding
    clip_qkv attn_logit_softcapping final_logit_softcapping logit_scale logits_scaling
    embedding_multiplier residual_multiplier no_rope_layers
    use_parallel_residual parallel_attn new_decoder_architecture num_ln_in_parallel_attn multi_query
    tie_word_embeddings model_type architectures attention_heads
""")
# Names, training, generation, precision: no logit in evaluation depends on them.
_HARMLESS = _words("""
    _name_or_path name_or_path _attn_implementation attn_implementation transformers_version dtype torch_dtype
    auto_map id2label label2id num_labels problem_type finetuning_task task_specific_params license language
    output_attentions output_hidden_states return_dict use_return_dict use_cache use_bfloat16 torchscript
    use_flash_attn use_flash_attention use_flash_attention_2 use_cache_quantization use_cache_kernel
    chunk_size_feed_forward gradient_checkpointing pretraining_tp reorder_and_upcast_attn
    attention_softmax_in_fp32 scale_attention_softmax_in_fp32 use_logn_attn_in_training
    initializer_range init_std initializer_factor rescale_prenorm_residual mup_init layerdrop
    is_decoder is_encoder_decoder add_cross_attention cross_attention_hidden_size tie_encoder_decoder
    router_aux_loss_coef output_router_logits loss_type vocab_padding pad_vocab_size_multiple
    do_sample temperature top_k top_p typical_p min_length max_length max_new_tokens early_stopping num_beams
    num_beam_groups num_return_sequences diversity_penalty repetition_penalty length_penalty
    encoder_no_repeat_ngram_size no_repeat_ngram_size exponential_decay_length_penalty bad_words_ids
    suppress_tokens begin_suppress_tokens output_scores return_dict_in_generate remove_invalid_values prefix
    tokenizer_class unsloth_version unsloth_fixed mlx_quantization seq_length max_sequence_length model_max_length
""")
_HARMLESS_PARTS = ("dropout", "pdrop", "_token_id", "summary_", "tokenizer")


def _off(value: Any) -> bool:
    return value is None or value is False or value == 0


def _one(value: Any) -> bool:
    return value is None or (not isinstance(value, bool) and value == 1)


# Keys that change the function and are not read: where the value does nothing, and what it does otherwise.
_UNREAD: dict[str, tuple[Callable[[Any], bool], str]] = {
    "logits_soft_cap": (_off, "capped logits"),
    "lm_head_multiplier": (_one, "multiplied logits"),
    "output_multiplier_scale": (_one, "multiplied logits"),
    "embedding_multiplier_scale": (_one, "multiplied embeddings"),
    "scale_emb": (_one, "multiplied embeddings"),
    "scale_depth": (_off, "multiplied residuals"),
    "key_multiplier": (_one, "multiplied keys"),
    "attention_in_multiplier": (_one, "multiplied inputs of attention"),
    "attention_out_multiplier": (_one, "multiplied outputs of attention"),
    "mlp_multipliers": (lambda value: not value or all(map(_one, value)), "multiplied MLPs"),
    "position_embedding_type": (lambda value: value in (None, "absolute", "rope"), "other positions"),
    "relative_attention": (_off, "relative positions"),
    "use_bidirectional_attention": (_off, "bidirectional attention"),
    "attention_chunk_size": (_off, "attention in chunks"),
    "attn_temperature_tuning": (_off, "scores scaled by position"),
    "use_logn_attn": (_off, "scores scaled by position"),
    "use_dynamic_ntk": (_off, "rotary angles that depend on the length of the row"),
    "hc_mult": (_one, "several streams"),
    # Falcon's: its bridge adds ALiBi to scores whose mask holds it already, and is no reference for the model.
    "alibi": (_off, "ALiBi that TransformerLens adds twice"),
    "pruned_heads": (lambda value: not value, "heads taken out"),
}  # fmt: skip


LISTED = "docs/models.md lists the architectures that are read"


def what_works(settings: Sequence[str], parts: bool) -> str:
    """What would be read in place of a model whose settings, or of which parts, are not understood."""
    if parts:
        return f"No other revision or processing of it is; {LISTED}."
    return f"A revision whose configuration leaves {' and '.join(settings)} out may be; {LISTED}."


def unread(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a configuration computes that is not read here: the words, and the key with its value."""
    own = of_family(config.get("model_type"))
    refused = {**_UNREAD, **own.refuses} if own else _UNREAD
    for key, value in config.items():
        if key in refused and not refused[key][0](value):
            yield refused[key][1], _pair(key, value)


def unknown(config: Mapping[str, Any]) -> list[str]:
    """The keys, each with its value, that are switched on and of which nobody said what they do; sorted."""
    own = of_family(config.get("model_type"))
    here = (*own.reads, *own.refuses) if own else ()
    there = {key: value for key, value in config.items() if key not in here}
    return sorted(_pair(key, value) for key, value in there.items() if not (_known(key) or _empty(value)))


def _pair(key: str, value: Any) -> str:
    return f"{key} {reprlib.repr(value)}"


def _known(key: str) -> bool:
    return key in _READ or key in _HARMLESS or key in _UNREAD or any(part in key for part in _HARMLESS_PARTS)


def _empty(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, str | list | tuple | dict) and not value)
