"""Phi-3 and Phi-4: Llama's form, with joint queries, keys and values, and joint gates."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def shape(config: Config) -> Shape:
    return like_llama(config, "phi3")


ARCHITECTURE = Architecture("phi3", shape, place=8)
