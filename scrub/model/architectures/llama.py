"""Llama: rotary positions, RMSNorm, gated MLPs, and in larger models grouped queries."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def _shape(layers: int, heads: int, groups: int, width: int, mlp: int) -> Shape:
    return Shape(
        "llama", layers, heads, groups, width, width // heads, mlp, 128256, 131072, "rotary", gated=True
    )  # fmt: skip


def shape(config: Config) -> Shape:
    return like_llama(config, "llama")


# from the models' own config.json files
MODELS = {
    "meta-llama/Llama-3.2-1B": _shape(16, 32, 8, 2048, 8192),
    "meta-llama/Llama-3.1-8B": _shape(32, 32, 8, 4096, 14336),
}

ARCHITECTURE = Architecture("llama", shape, MODELS, place=3)
