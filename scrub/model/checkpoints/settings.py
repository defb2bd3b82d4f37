"""What a configuration of a checkpoint says, checked, in the words of TransformerLens' native models. No torch.

Keys are those of HookedTransformerConfig (TransformerLens 1 to 3), of TransformerBridgeConfig, and of nanoGPT's
`model_args`. A key that changes the function and is not read is refused with its value, an unknown one is told with
the nearest; keys of training, devices and tokenizers are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from scrub.anatomy.shape import Shape
from scrub.errors import ModelError, nearest
from scrub.model.config import shown

FAMILY = "transformer_lens_native"  # the model_type of the directories that `scrub.save` writes
SIZES = ("n_layers", "n_heads", "n_key_value_heads", "d_model", "d_head", "d_mlp", "d_vocab", "d_vocab_out", "n_ctx")
_NANO = {
    "n_layer": "n_layers", "n_head": "n_heads", "n_embd": "d_model", "block_size": "n_ctx", "vocab_size": "d_vocab"
}  # fmt: skip
ACTIVATIONS = {
    "relu": "relu", "gelu": "gelu", "gelu_new": "gelu_new", "gelu_fast": "gelu_new", "gelu_pytorch_tanh": "gelu_new",
    "silu": "silu", "swish": "silu", "solu": "solu", "solu_ln": "solu_ln",
}  # fmt: skip
_CHOICES: dict[str, tuple[Any, ...]] = {
    "act_fn": tuple(ACTIVATIONS),
    "normalization_type": (None, "LN", "LNPre", "RMS", "RMSPre"),
    "attention_dir": ("causal", "bidirectional"),
    "positional_embedding_type": ("standard", "rotary"),
}
_FLAGS = {
    "attn_only": False, "gated_mlp": False, "final_rms": False, "use_attn_scale": True,
    "scale_attn_by_inverse_layer_idx": False, "rotary_adjacent_pairs": False,
}  # fmt: skip
_NUMBERS = {
    "eps": 1e-5, "attn_scale": -1.0, "attn_scores_soft_cap": -1.0, "output_logits_soft_cap": -1.0,
    "rotary_base": 10000, "rotary_dim": None,
}  # fmt: skip
READ = (*SIZES, *_CHOICES, *_FLAGS, *_NUMBERS)
_ABSENT = (None, False, -1, -1.0, "")
# Keys that change the function, and what they would do.
_REFUSED = {
    "use_local_attn": "a window of attention", "parallel_attn_mlp": "attention beside MLPs",
    "post_embedding_ln": "a norm after the embeddings", "use_normalization_before_and_after": "norms after layers",
    "use_qk_norm": "a norm of heads", "qk_norm_after_rope": "a norm of heads", "num_experts": "experts",
    "use_NTK_by_parts_rope": "rotary angles scaled by parts", "rope_scaling": "scaled rotary angles",
    "rotary_base_local": "rotary angles that differ by layer", "rotary_interleaved_cos_sin": "interleaved angles",
    "relative_attention_max_distance": "relative positions", "relative_attention_num_buckets": "relative positions",
    "rmsnorm_uses_offset": "norms with an offset", "scale_embedding": "multiplied embeddings",
    "per_layer_head_dim": "heads that differ by layer", "per_layer_num_key_value_heads": "heads that differ by layer",
    "is_audio_model": "sound", "is_visual_model": "pictures", "is_multimodal": "inputs other than text",
    "is_stateful": "a recurrent state", "load_in_4bit": "weights of 4 bits",
}  # fmt: skip
_HARMLESS = tuple(
    """
    model_type model_name architecture original_architecture architectures device n_devices dtype seed
    init_mode init_weights initializer_range n_params tokenizer_name tokenizer_prepends_bos
    tokenizer_appends_eos default_prepend_bos default_padding_side trust_remote_code from_checkpoint
    checkpoint_index checkpoint_label_type checkpoint_value window_size attn_types use_attn_result
    use_split_qkv_input use_attn_in use_hook_mlp_in use_hook_tokens ungroup_grouped_query_attention
    experts_per_token decoder_start_token_id tie_word_embeddings uses_rms_norm layer_norm_folding
    split_attention_weights attn_implementation NTK_by_parts_low_freq_factor NTK_by_parts_high_freq_factor
    NTK_by_parts_factor NTK_original_ctx_len vision_hidden_size vision_num_layers vision_num_heads
    mm_tokens_per_image bias dropout
    """.split()  # noqa: SIM905
)


@frozen
class Settings:
    """What a configuration says of its model; `file` is where, for whoever reads an error."""

    said: Mapping[str, Any] = field(factory=dict[str, Any])
    file: str = "config="

    @classmethod
    def of(cls, config: Mapping[str, Any], file: str) -> Settings:
        """Raises ModelError with every key that is refused, unknown or says what it cannot."""
        keys = {_NANO.get(key, key): value for key, value in config.items()}
        problems = [text for key, value in keys.items() if (text := _problem(key, value))]
        if problems:
            raise ModelError(f"{file}: {'; '.join(problems)}.")
        said = {key: value for key, value in keys.items() if key in READ and not _says_nothing(key, value)}
        if "act_fn" in said:
            said["act_fn"] = ACTIVATIONS[said["act_fn"]]
        return cls(said, file)

    def __getitem__(self, key: str) -> Any:
        """What is said, or what TransformerLens takes where nothing is."""
        return self.said.get(key, {**_FLAGS, **_NUMBERS, "attention_dir": "causal"}.get(key))

    def joined(self, found: Mapping[str, Any]) -> Settings:
        """With what the weights show. Raises ModelError where these differ from what is said."""
        differ = [
            f"{key} is {shown(self.said[key])}, and the weights have {shown(value)}"
            for key, value in found.items()
            if key in self.said and self.said[key] != value
        ]
        if differ:
            raise ModelError(f"{self.file}: {'; '.join(differ)}. Is it the configuration of other weights?")
        return Settings({**self.said, **found}, self.file)

    def missing(self) -> list[str]:
        """The keys without which it cannot be known what the model computes."""
        said = self.said
        needed = ["n_layers", "n_heads", "d_model", "d_head", "d_vocab", "n_ctx", "positional_embedding_type"]
        needed += ["normalization_type"] if "normalization_type" not in said else []
        needed += [] if self["attn_only"] else ["act_fn", "d_mlp"]
        return [key for key in needed if key not in said]

    def shape(self) -> Shape:
        """The numbers that claims are checked against. Raises ModelError where some are missing."""
        self.whole()
        s = self.said
        return Shape(
            "native", s["n_layers"], s["n_heads"], s.get("n_key_value_heads", s["n_heads"]), s["d_model"],
            s["d_head"], 0 if self["attn_only"] else s["d_mlp"], s["d_vocab"], s["n_ctx"],
            {"standard": "learned"}.get(s["positional_embedding_type"], "rotary"),
            causal=self["attention_dir"] == "causal", gated=bool(self["gated_mlp"] and not self["attn_only"]),
        )  # fmt: skip

    def whole(self) -> Settings:
        """Itself. Raises ModelError naming what is missing."""
        if lacking := self.missing():
            raise ModelError(
                f"{self.file} does not say {', '.join(lacking)}, and the weights do not show it: add it, "
                f"{{{', '.join(f'{chr(34)}{key}{chr(34)}: {_example(key)}' for key in lacking)}}}."
            )
        return self

    def native(self) -> dict[str, Any]:
        """The keys of a TransformerBridgeConfig: what a native model is made by, nothing left to a default."""
        keys = (key for key in READ if key not in ("scale_attn_by_inverse_layer_idx", "rotary_adjacent_pairs"))
        config = {key: self[key] for key in keys if self[key] is not None or key == "normalization_type"}
        return config if self["normalization_type"] else {**config, "final_rms": False}


def _example(key: str) -> str:
    examples = {"act_fn": '"gelu"', "normalization_type": '"LNPre"', "positional_embedding_type": '"rotary"'}
    return examples.get(key, "12")


def _says_nothing(key: str, value: Any) -> bool:
    """Whether a value stands for what follows from the others."""
    return key != "normalization_type" and (value is None or (key in SIZES and value == -1))


def _problem(key: str, value: Any) -> str:
    """What is wrong with a key, in words; nothing for one that is read or passed over."""
    if key in SIZES or key in _NUMBERS or key in _FLAGS or key in _CHOICES:
        return "" if _says_nothing(key, value) else _wrong(key, value)
    if key in _REFUSED:
        return (
            "" if value in _ABSENT or value == [] else f"{key} is {_said(value)}: {_REFUSED[key]}, which is not read"
        )
    if key in _HARMLESS:
        return ""
    near = nearest(key, (*READ, *_NANO))
    return f"{key!r} is no key that is known" + (f", the nearest is {near!r}" if near else "")


def _wrong(key: str, value: Any) -> str:
    checks: dict[str, tuple[Callable[[Any], bool], str]] = {
        **dict.fromkeys(SIZES, (lambda v: type(v) is int and 1 <= v <= 10**8, "a whole number from 1")),
        **dict.fromkeys(_NUMBERS, (lambda v: isinstance(v, int | float) and not isinstance(v, bool), "a number")),
        **dict.fromkeys(_FLAGS, (lambda v: isinstance(v, bool), "true or false")),
    }
    if key in checks:
        right, words = checks[key]
        return "" if right(value) else f"{key} is {_said(value)}, not {words}"
    known = _CHOICES[key]
    return "" if value in known else f"{key} is {_said(value)}, none of {', '.join(map(_said, known))}"


def _said(value: Any) -> str:
    try:
        return shown(value)
    except TypeError:
        return repr(value)[:40]
