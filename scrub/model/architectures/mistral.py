"""Mistral: Llama's form with a window on what attention sees."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def shape(config: Config) -> Shape:
    return like_llama(config, "mistral")


ARCHITECTURE = Architecture("mistral", shape, place=4)
