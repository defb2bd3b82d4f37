"""Shapes of well-known models, and shapes read from a `config.json`. No torch, no network."""

from __future__ import annotations

from typing import Any

from scrub.anatomy.shape import Shape
from scrub.errors import ModelError, did_you_mean


def _gpt2(layers: int, heads: int, width: int) -> Shape:
    return Shape("gpt2", layers, heads, heads, width, width // heads, 4 * width, 50257, 1024)


def _pythia(layers: int, heads: int, width: int, vocabulary: int = 50304) -> Shape:
    return Shape("gpt_neox", layers, heads, heads, width, width // heads, 4 * width, vocabulary, 2048, "rotary", True)


def _llama(layers: int, heads: int, groups: int, width: int, mlp: int, vocabulary: int, context: int) -> Shape:
    return Shape("llama", layers, heads, groups, width, width // heads, mlp, vocabulary, context, "rotary")


def _attn_only(layers: int) -> Shape:
    return Shape("attn-only", layers, 8, 8, 512, 64, 0, 48262, 1024)


# from the models' own config.json files
SHAPES: dict[str, Shape] = {
    "gpt2": _gpt2(12, 12, 768),
    "openai-community/gpt2": _gpt2(12, 12, 768),
    "gpt2-small": _gpt2(12, 12, 768),
    "gpt2-medium": _gpt2(24, 16, 1024),
    "gpt2-large": _gpt2(36, 20, 1280),
    "gpt2-xl": _gpt2(48, 25, 1600),
    "distilgpt2": _gpt2(6, 12, 768),
    "EleutherAI/pythia-14m": _pythia(6, 4, 128),
    "EleutherAI/pythia-70m": _pythia(6, 8, 512),
    "EleutherAI/pythia-160m": _pythia(12, 12, 768),
    "EleutherAI/pythia-410m": _pythia(24, 16, 1024),
    "EleutherAI/pythia-1b": _pythia(16, 8, 2048),
    "EleutherAI/pythia-1.4b": _pythia(24, 16, 2048),
    "meta-llama/Llama-3.2-1B": _llama(16, 32, 8, 2048, 8192, 128256, 131072),
    "meta-llama/Llama-3.1-8B": _llama(32, 32, 8, 4096, 14336, 128256, 131072),
    "attn-only-1l": _attn_only(1),
    "attn-only-2l": _attn_only(2),
    "attn-only-3l": _attn_only(3),
    "attn-only-4l": _attn_only(4),
}

# TransformerLens' short names and the hub's
ALIASES = {"gpt2-small": "gpt2"}

_FAMILIES = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma")


def shape_of_config(config: dict[str, Any], name: str) -> Shape:
    """The shape that a Hugging Face `config.json` describes. Raises ModelError for a family that is not read."""
    family = str(config.get("model_type", ""))
    try:
        if family == "gpt2":
            return _from_gpt2(config)
        if family in _FAMILIES:
            return _from_llama_style(family, config)
    except KeyError as error:
        raise ModelError(f"{name}: its config.json lacks {error.args[0]!r}.") from None
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{name}: its config.json describes no transformer: {error}.") from None
    raise ModelError(
        f"{name} is of the family {family!r}, whose shape cannot be read without its weights."
        f"{did_you_mean(family, _FAMILIES)} Read are {', '.join(_FAMILIES)}; others can be given as a loaded "
        "TransformerBridge."
    )


def _from_gpt2(config: dict[str, Any]) -> Shape:
    width, heads = config["n_embd"], config["n_head"]
    return Shape(
        "gpt2", config["n_layer"], heads, heads, width, width // heads,
        config.get("n_inner") or 4 * width, config["vocab_size"], config["n_positions"],
    )  # fmt: skip


def _from_llama_style(family: str, config: dict[str, Any]) -> Shape:
    width, heads = config["hidden_size"], config["num_attention_heads"]
    return Shape(
        family, config["num_hidden_layers"], heads, config.get("num_key_value_heads") or heads, width,
        config.get("head_dim") or width // heads, config["intermediate_size"], config["vocab_size"],
        config["max_position_embeddings"], "rotary",
        family == "gpt_neox" and bool(config.get("use_parallel_residual", True)),
    )  # fmt: skip
