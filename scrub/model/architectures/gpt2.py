"""GPT-2: learned positions, LayerNorm, MLPs without gates."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config


def _shape(layers: int, heads: int, width: int) -> Shape:
    return Shape("gpt2", layers, heads, heads, width, width // heads, 4 * width, 50257, 1024)


def shape(config: Config) -> Shape:
    found = config.numbers("n_layer", "n_head", "n_embd", "n_inner", "vocab_size", "n_positions")
    width, heads = found["n_embd"], found["n_head"]
    return Shape(
        "gpt2", found["n_layer"], heads, heads, width, config.shared("n_embd", "n_head"),
        found.get("n_inner", 4 * width), found["vocab_size"], found["n_positions"],
    )  # fmt: skip


# from the models' own config.json files
MODELS = {
    "gpt2": _shape(12, 12, 768),
    "openai-community/gpt2": _shape(12, 12, 768),
    "gpt2-small": _shape(12, 12, 768),
    "gpt2-medium": _shape(24, 16, 1024),
    "gpt2-large": _shape(36, 20, 1280),
    "gpt2-xl": _shape(48, 25, 1600),
    "distilgpt2": _shape(6, 12, 768),
}

ARCHITECTURE = Architecture("gpt2", shape, MODELS, {"gpt2-small": "gpt2"}, place=1)
