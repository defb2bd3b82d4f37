"""Qwen2: Llama's form with biases on queries, keys and values."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def shape(config: Config) -> Shape:
    return like_llama(config, "qwen2")


ARCHITECTURE = Architecture("qwen2", shape, place=5)
