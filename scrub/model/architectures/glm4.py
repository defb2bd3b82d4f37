"""GLM-4: GLM's form, with norms after attention and MLP too."""

from __future__ import annotations

from attrs import evolve

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def shape(config: Config) -> Shape:
    return evolve(like_llama(config, "glm4"), post_norms=True)


ARCHITECTURE = Architecture("glm4", shape, place=10)
