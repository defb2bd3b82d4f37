"""Shapes of well-known models, and shapes read from a `config.json`. No torch, no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scrub.anatomy.shape import Shape
from scrub.errors import ModelError


def _gpt2(layers: int, heads: int, width: int) -> Shape:
    return Shape("gpt2", layers, heads, heads, width, width // heads, 4 * width, 50257, 1024)


def _pythia(layers: int, heads: int, width: int, vocabulary: int = 50304) -> Shape:
    return Shape("gpt_neox", layers, heads, heads, width, width // heads, 4 * width, vocabulary, 2048, "rotary", True)


def _llama(layers: int, heads: int, groups: int, width: int, mlp: int, vocabulary: int, context: int) -> Shape:
    return Shape(
        "llama", layers, heads, groups, width, width // heads, mlp, vocabulary, context, "rotary", gated=True
    )  # fmt: skip


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
_UNGATED = ("gpt_neox",)  # of those in Llama's style

# the most that a key may say; claims about larger models could not be checked in bounded time
_MOST = {
    "n_layer": 1000, "num_hidden_layers": 1000,
    "n_head": 1000, "num_attention_heads": 1000, "num_key_value_heads": 1000,
    "n_embd": 10**6, "hidden_size": 10**6, "head_dim": 10**6, "n_inner": 10**7, "intermediate_size": 10**7,
    "vocab_size": 10**8, "n_positions": 10**8, "max_position_embeddings": 10**8,
}  # fmt: skip
_OPTIONAL = ("n_inner", "num_key_value_heads", "head_dim")  # missing or null: what follows from the others


def shape_of_config(config: dict[str, Any], file: str) -> Shape:
    """The shape that a Hugging Face `config.json` describes, which was read from `file`.

    Raises ModelError for a family that is not read, and with every key that is missing or says no such number.
    """
    family = config.get("model_type")
    if family == "gpt2":
        return _from_gpt2(config, file)
    if family in _FAMILIES:
        return _from_llama_style(family, config, file)
    if config.get("is_encoder_decoder") is True:
        raise ModelError(f"{file} describes an encoder with a decoder ({_shown(family)}), which is not supported.")
    if not isinstance(family, str):
        raise ModelError(f"{file} says no family: its 'model_type' is {_shown(family)}.")
    raise ModelError(
        f"{file} describes a model of the family {_shown(family)}, whose shape cannot be read from there; read are "
        f"{', '.join(_FAMILIES)}. Give the loaded model in Python: model=AutoModelForCausalLM.from_pretrained(...)."
    )


def _from_gpt2(config: dict[str, Any], file: str) -> Shape:
    found = _numbers(config, ("n_layer", "n_head", "n_embd", "n_inner", "vocab_size", "n_positions"), file)
    width, heads = found["n_embd"], found["n_head"]
    return Shape(
        "gpt2", found["n_layer"], heads, heads, width, _shared(file, found, "n_embd", "n_head"),
        found.get("n_inner", 4 * width), found["vocab_size"], found["n_positions"],
    )  # fmt: skip


def _from_llama_style(family: str, config: dict[str, Any], file: str) -> Shape:
    found = _numbers(
        config,
        ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "hidden_size", "head_dim",
         "intermediate_size", "vocab_size", "max_position_embeddings"),
        file,
    )  # fmt: skip
    heads = found["num_attention_heads"]
    if "num_key_value_heads" in found:
        _shared(file, found, "num_attention_heads", "num_key_value_heads")
    return Shape(
        family, found["num_hidden_layers"], heads, found.get("num_key_value_heads", heads), found["hidden_size"],
        found.get("head_dim") or _shared(file, found, "hidden_size", "num_attention_heads"),
        found["intermediate_size"], found["vocab_size"], found["max_position_embeddings"], "rotary",
        parallel=family == "gpt_neox" and _flag(config, "use_parallel_residual", True, file),
        gated=family not in _UNGATED,
    )  # fmt: skip


def _numbers(config: Mapping[str, Any], keys: tuple[str, ...], file: str) -> dict[str, int]:
    """What keys say, without the optional ones that say nothing. Raises ModelError with all that is wrong."""
    needed = [key for key in keys if key not in _OPTIONAL or config.get(key) is not None]
    wrong = [_wrong(config, key) for key in needed if not _counts(config.get(key), _MOST[key])]
    if wrong:
        raise ModelError(f"{file}: {'; '.join(wrong)}. It describes no model that can be tested.")
    return {key: config[key] for key in needed}


def _counts(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _wrong(config: Mapping[str, Any], key: str) -> str:
    if key not in config:
        return f"{key!r} is missing"
    return f"{key!r} is {_shown(config[key])}, no whole number from 1 to {_MOST[key]:,}"


def _shared(file: str, found: Mapping[str, int], whole: str, parts: str) -> int:
    """How much of a whole each part has. Raises ModelError where that is no whole number."""
    if found[whole] % found[parts]:
        raise ModelError(f"{file}: {whole!r}, {found[whole]}, is no multiple of {parts!r}, {found[parts]}.")
    return found[whole] // found[parts]


def _flag(config: Mapping[str, Any], key: str, default: bool, file: str) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise ModelError(f"{file}: {key!r} is {_shown(value)}, neither true nor false.")
    return value


def _shown(value: object) -> str:
    """A value as it stands in the file, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
