"""Qwen3: Llama's form with norms on each head's queries and keys."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def shape(config: Config) -> Shape:
    return like_llama(config, "qwen3")


ARCHITECTURE = Architecture("qwen3", shape, place=6)
