"""Gemma: Llama's form with multiplied embeddings and weights of norms that start at 0."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def shape(config: Config) -> Shape:
    return like_llama(config, "gemma")


# from the models' own config.json files
MODELS = {
    "google/gemma-2b": Shape("gemma", 18, 8, 1, 2048, 256, 16384, 256000, 8192, "rotary", gated=True),
    "google/gemma-7b": Shape("gemma", 28, 16, 16, 3072, 256, 24576, 256000, 8192, "rotary", gated=True),
}

ARCHITECTURE = Architecture("gemma", shape, MODELS, place=7)
