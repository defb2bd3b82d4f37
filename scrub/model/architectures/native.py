"""TransformerLens' native models, in the directories that `scrub.save` writes."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.checkpoints.settings import FAMILY, Settings
from scrub.model.config import Config


def shape(config: Config) -> Shape:
    return Settings.of(config.keys, config.file).shape()


ARCHITECTURE = Architecture(FAMILY, shape)
