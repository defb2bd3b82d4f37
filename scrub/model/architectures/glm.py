"""GLM: Llama's form, with joint gates, and half of each head turned in neighbouring pairs."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def shape(config: Config) -> Shape:
    return like_llama(config, "glm")


ARCHITECTURE = Architecture("glm", shape, place=9)
