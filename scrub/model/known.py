"""Shapes of well-known models, and shapes read from a `config.json`. No torch, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.errors import ModelError

if TYPE_CHECKING:
    from scrub.anatomy.shape import Shape


def shapes() -> dict[str, Shape]:
    """The shapes of well-known models, by name."""
    from scrub.model.architectures import architectures

    return {name: shape for one in architectures() for name, shape in one.models.items()}


def official(name: str) -> str:
    """The hub's name for one of TransformerLens' short names that are known here; others unchanged."""
    from scrub.model.architectures import architectures

    return next((one.aliases[name] for one in architectures() if name in one.aliases), name)


def shape_of_config(config: dict[str, Any], file: str) -> Shape:
    """The shape that a Hugging Face `config.json` describes, which was read from `file`.

    One that is no file of `scrub.model.architectures` is asked of TransformerLens, which takes torch. Raises
    ModelError for what cannot be tested, and with every key that is missing or says no such number.
    """
    from scrub.model.architectures import architectures
    from scrub.model.config import Config, shown

    family = config.get("model_type")
    readers = {one.family: one.shape for one in architectures() if one.shape is not None}
    if isinstance(family, str) and family in readers:
        return readers[family](Config(config, file))
    if config.get("is_encoder_decoder") is True:
        from scrub.model.configuration import what_works

        raise ModelError(
            f"{file} describes an encoder with a decoder ({shown(family)}), as is_encoder_decoder says, which is "
            f"not supported. {what_works((), parts=True)}"
        )
    if not isinstance(family, str):
        raise ModelError(f"{file} says no family, such as \"gpt2\": its 'model_type' is {shown(family)}.")
    from scrub.model.outline import shape_of_any

    return shape_of_any(config, file)
