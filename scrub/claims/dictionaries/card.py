"""What a dictionary says of itself: of which model and component it is, and what it reads; and its arrays."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.part import LATENTS, HostPart, array_digest
from scrub.claims.dictionaries.stored import StoredArray
from scrub.errors import ClaimError, unread

Held = dict[str, np.ndarray[Any, Any]]
# What the encoder reads, where that is not what the host writes: of an MLP the stream that it reads, the same normed
# without the norm's own weights, or what its neurons read.
STREAM, NORMALIZED, NORMED = "stream", "normalized", "normed"
_INPUTS = {
    "hook_resid_mid": STREAM, "hook_mlp_in": STREAM, "ln2.hook_normalized": NORMALIZED, "mlp.hook_in": NORMED,
}  # fmt: skip
_WRITES = {
    "hook_resid_pre": ("resid", 0), "hook_resid_post": ("resid", 1), "hook_attn_out": ("attn", 0),
    "hook_mlp_out": ("mlp", 0), "mlp.hook_out": ("mlp", 0),
}  # fmt: skip
COMPARED = ("encoder", "bias", "norms")  # of latents that are compared with one another
SHAPES = {
    "encoder": "d m", "decoder": "m d", "bias": "m", "threshold": "m", "centre": "d", "gate": "m", "gain": "m",
    "norms": "m", "factor": "m",
}  # fmt: skip


@frozen
class DictionaryCard:
    """`host` is what it is a dictionary of, None where nothing says so; `reads` is set for transcoders alone.

    `seen` are the digests of the rows on which one was trained that `scrub.fit` made.
    """

    source: str
    host: Component | None = None
    reads: str = ""
    model: str = ""
    seen: tuple[str, ...] = ()


def same(found: Held) -> Held:
    return found


@frozen(eq=False, slots=False)
class StoredDictionary:
    """A dictionary on disk: `arrays` by what they are (`SHAPES`), turned so that they have these axes.

    `settings` travel with its parts. Where `whole`, latents are compared with one another, and all of the encoder is
    read; `finish` makes of the numbers that were read those that a code takes.
    """

    card: DictionaryCard
    arrays: Mapping[str, StoredArray]
    settings: Mapping[str, str] = field(factory=dict[str, str])
    whole: bool = False
    finish: Callable[[Held], Held] = same
    as_known: str = ""

    def __attrs_post_init__(self) -> None:
        if len(shape := self.arrays["encoder"].shape) != 2:
            raise ClaimError(f"{self.card.source}: encoder has the shape {list(shape)}, and is [d m].")
        sizes = dict(zip("dm", self.arrays["encoder"].shape, strict=False))
        for name, array in self.arrays.items():
            wanted = tuple(sizes.get(axis) for axis in SHAPES[name].split())
            if array.shape != wanted:
                found = f"{name} has the shape {list(array.shape)}"
                raise ClaimError(f"{self.card.source}: {found}, and is [{SHAPES[name]}] beside the encoder, [d m].")
        if (active := int(self.settings.get("topk", 0))) > self.count:
            raise ClaimError(f"{self.card.source}: {active} of its {self.count} latents cannot be active at once.")

    @property
    def count(self) -> int:
        """How many latents it has, m."""
        return self.arrays["decoder"].shape[0]

    @cached_property
    def digest(self) -> str:
        """By card, settings and vectors, which tell dictionaries apart without reading one; or `as_known`."""
        if self.as_known:
            return self.as_known
        found = hashlib.blake2b(digest_size=16)
        found.update(json.dumps([str(self.card.host), self.card.reads, sorted(self.settings.items())]).encode())
        for name in sorted(self.arrays):
            array = self.arrays[name]
            found.update(f"{name} {array.shape}|".encode())
            found.update(array.read().tobytes() if len(array.shape) == 1 else array.read(0).tobytes())
        return found.hexdigest()

    def part(self, indices: tuple[int, ...]) -> HostPart:
        """Some of its latents, in order. Raises ClaimError for numbers that are not finite."""
        held = self.cut(list(indices))
        card = {"of": str(self.card.host or ""), "model": self.card.model, "reads": self.card.reads}
        settings = {**self.settings, **{name: word for name, word in card.items() if word}, "dictionary": self.digest}
        return HostPart(
            LATENTS, array_digest(held), indices, tuple(sorted(settings.items())), arrays=held, seen=self.card.seen,
            source=self, lies="" if self.as_known else self.card.source,
        )  # fmt: skip

    def cut(self, take: list[int]) -> Held:
        """The numbers of some latents; of the encoder and its bias, where `whole`, those of all. Raises as `part`."""
        compared = COMPARED if self.whole else ()
        run = slice(take[0], take[-1] + 1) if take and take == list(range(take[0], take[-1] + 1)) else take
        found: Held = {}
        for name, array in self.arrays.items():
            axes = SHAPES[name].split()
            at = [run if axis == "m" and name not in compared else slice(None) for axis in axes]
            found[name] = array.read(*at)
        made = self.finish(found)
        if wrong := [name for name, array in made.items() if not np.isfinite(array).all()]:
            raise ClaimError(f"{self.card.source}: not all numbers of {wrong[0]} are finite.")
        return made

    def holding(self, take: list[int]) -> StoredDictionary:
        """The same with the numbers of some latents in memory, so that parts of these are read no more."""
        compared = COMPARED if self.whole else ()
        held = dict[str, StoredArray]()
        for name, array in self.arrays.items():
            axes = SHAPES[name].split()
            held[name] = array.held(axes.index("m"), None if name in compared else take) if "m" in axes else array
        return evolve(self, arrays=held)


def place_of_hook(hook: str, source: str) -> Component:
    """The component whose vector a hook of TransformerLens holds. Raises ClaimError where there is none."""
    if hook == "hook_embed":
        return Component("embed")
    match = re.fullmatch(r"blocks\.([0-9]{1,9})\.(.+)", hook)
    if match is None or match[2] not in _WRITES:
        known = ", ".join(["hook_embed", *_WRITES])
        raise ClaimError(f"{source}: it is of {hook!r}, which is no vector that a component writes. Known: {known}.")
    kind, later = _WRITES[match[2]]
    return Component(kind, int(match[1]) + later)


def input_of_hook(hook: str, source: str) -> str:
    """What a transcoder reads at a hook, whatever the layer. Raises ClaimError for a hook that no MLP reads."""
    last = re.sub(r"^blocks\.[0-9]+\.", "", hook)
    if last not in _INPUTS:
        raise ClaimError(f"{source}: it reads {hook!r}, which is not what an MLP reads. Known: {', '.join(_INPUTS)}.")
    return _INPUTS[last]


def as_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ClaimError(f"{file}: no JSON that can be read: {unread(error)}.") from None
    if not isinstance(found, dict):
        raise ClaimError(f"{file}: a JSON object is asked for, found {type(found).__name__}.")
    return found  # pyright: ignore[reportUnknownVariableType]


def with_unit_rows(found: Held) -> Held:
    """Decoder rows of length one, the latents in their units."""
    size = np.linalg.norm(found["decoder"], axis=1)
    more = {name: found[name] * size for name in ("bias", "threshold") if name in found}
    return {**found, **more, "encoder": found["encoder"] * size, "decoder": found["decoder"] / size[:, None]}
