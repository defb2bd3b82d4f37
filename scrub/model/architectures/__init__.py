"""One file an architecture: a file here is one, and nothing else lists it. No torch, no network.

An architecture is known where its shape can be read from a `config.json`, or stands in a table: claims about it are
checked without weights. The weights of any model whose layers `scrub.model.layers` computes are taken by
`scrub.model.transformer`, whether its architecture is known or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from scrub.anatomy.shape import Shape
from scrub.claims.wording import ARCHITECTURES
from scrub.model.config import Config

__path__ = ARCHITECTURES.path


@frozen(eq=False)
class Architecture:
    """What is known of a family of models.

    `family` is its `model_type`; `shape(config)` reads its `config.json` and raises ModelError, None where there are
    none of it. `models` are the shapes of well-known models, `aliases` other names of them and the hub's.

    `reads` are keys of its `config.json` that TransformerLens reads or that change no logit; `refuses` those that
    change the function and are not read: where a value does nothing, and in words what it does otherwise. Keys that
    many families have stand in `scrub.model.configuration`. `place` orders the families where they are listed.
    """

    family: str
    shape: Callable[[Config], Shape] | None
    models: Mapping[str, Shape] = field(factory=dict[str, Shape])
    aliases: Mapping[str, str] = field(factory=dict[str, str])
    reads: tuple[str, ...] = ()
    refuses: Mapping[str, tuple[Callable[[Any], bool], str]] = field(factory=dict[str, Any])
    place: int = 99


def architectures() -> list[Architecture]:
    """All of them, in their order. Raises PlugInError for a file that fails, or has none."""
    found = [ARCHITECTURES.load(__name__, name, Architecture) for name in ARCHITECTURES.names()]
    return sorted(found, key=lambda one: one.place)


def of_family(family: object) -> Architecture | None:
    """The architecture of a `model_type`."""
    return next((one for one in architectures() if one.family == family), None)
