"""Gemma: Llama's form with multiplied embeddings and weights of norms that start at 0."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def shape(config: Config) -> Shape:
    return like_llama(config, "gemma")


ARCHITECTURE = Architecture("gemma", shape, place=7)
