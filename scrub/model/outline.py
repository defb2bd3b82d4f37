"""The shape of a model of which only the `config.json` is there: built without numbers, and read as a loaded one is.

Slower than the architectures that are known by a file each, and heavy: it is for all the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from scrub.anatomy.shape import Shape
from scrub.errors import ModelError
from scrub.model.configuration import LISTED
from scrub.model.transformer import bridge_of, shape_of_bridge


def shape_of_any(config: Mapping[str, Any], file: str) -> Shape:
    """The shape that TransformerLens' own adapter sees in a configuration, whose `model_type` is a text.

    Raises ModelError where the installed transformers has no such family, or its layers cannot be tested.
    """
    from transformers import CONFIG_MAPPING

    family = config["model_type"]
    if family not in CONFIG_MAPPING:
        raise ModelError(
            f"{file} describes a model of the family {family!r}, which the installed transformers does not have"
            f"{' (its code comes with the model, and is not run)' if config.get('auto_map') else ''}: give the "
            "loaded TransformerBridge in Python, or install a transformers that has it."
        )
    module = _without_numbers(config, file)
    return shape_of_bridge(bridge_of(module, file), f"the model of {file}")


def _without_numbers(config: Mapping[str, Any], file: str) -> nn.Module:
    from transformers import AutoConfig

    rest = {key: value for key, value in config.items() if key != "model_type"}
    try:
        with quiet(), torch.device("meta"):
            read = AutoConfig.for_model(config["model_type"], **rest)
            return language_model(read)._from_config(read, attn_implementation="eager")
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from None
    except Exception as error:  # configurations check themselves, each in its own way
        text = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        raise ModelError(f"{file} describes no model that transformers can build: {text}.") from error


def language_model(config: Any) -> Any:
    """The class of `transformers` whose logits a configuration is of: as its `architectures` say, else its family's.

    Raises ModelError where the family has none that gives logits of tokens.
    """
    import transformers

    named = next(iter(getattr(config, "architectures", None) or ()), "")
    found = getattr(transformers, named, None)
    if found is not None and found.config_class is type(config) and hasattr(found, "get_output_embeddings"):
        return found
    autos = (
        transformers.AutoModelForCausalLM,
        transformers.AutoModelForImageTextToText,
        transformers.AutoModelForMaskedLM,
    )  # fmt: skip
    for auto in autos:
        known: Any = auto._model_mapping  # pyright: ignore[reportPrivateUsage]
        if type(config) in known:
            return known[type(config)]
    classes = getattr(config, "architectures", None) or []
    raise ModelError(
        f"a model of the family {config.model_type!r} gives no logits of tokens (architectures {classes}): one with "
        f"a language model's head can be tested; {LISTED}."
    )


@contextmanager
def quiet() -> Generator[None]:
    """Without the progress bars and the warnings of `transformers`."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
