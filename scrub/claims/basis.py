"""Directions that were found in data: the array, what it is of, how it was found, and the rows that were seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.part import FitRecipe
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError, path_of
from scrub.shown import shown

if TYPE_CHECKING:
    from jaxtyping import Float  # it takes long to import

METADATA, ARRAY = "scrub.basis", "basis"


@frozen(eq=False)
class Basis:
    """What `scrub.fit` returns: `array` [k, d], rows that span what `method` found of a `variable` in a component.

    `seen` are the digests of the rows that it saw, on which a claim with these directions is not tested; `found` what
    the method tells of its fit, `provenance` the model, the data and how they were drawn. `coordinates` are those of
    the rows along its first two directions, with what the variable is there; `asked` are the method's own arguments.
    """

    array: Float[np.ndarray, "k d"] = field(repr=False)
    method: str
    variable: str
    component: Component
    at: str
    seen: tuple[str, ...] = field(repr=False)
    found: Mapping[str, Any] = field(factory=dict[str, Any])
    provenance: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
    coordinates: tuple[tuple[float, float, str], ...] = field(default=(), repr=False)
    asked: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """How many directions it is, k."""
        return len(self.array)

    @property
    def recipe(self) -> FitRecipe | None:
        """How to find it again; None for a basis that does not say."""
        return _recipe(self.to_dict())

    def save(self, file: str | Path) -> Path:
        """Write a `.safetensors` file, which `directions(file)` reads with the rows that were seen; it replaces one.

        Raises ClaimError for another ending, and for a file that cannot be written.
        """
        from safetensors.numpy import save_file

        target = path_of(file, "save(file)")
        if target.suffix != ".safetensors":
            raise ClaimError(
                f"save({str(file)!r}): a basis is a .safetensors file: {target.with_suffix('.safetensors')}."
            )
        try:
            save_file({ARRAY: np.ascontiguousarray(self.array)}, target, {METADATA: json.dumps(self.to_dict())})
        except OSError as error:
            raise ClaimError(f"save({str(file)!r}): it cannot be written: {error.strerror}.") from None
        return target

    def to_dict(self) -> dict[str, Any]:
        return {"rank": self.rank, **as_dict(self, "array")}

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def read_about(file: Path) -> tuple[tuple[str, ...], FitRecipe | None]:
    """The digests of the rows that the directions of a file were found on, and how; nothing where it does not say.

    Raises ClaimError where it says it in a way that cannot be read.
    """
    from safetensors import safe_open

    with safe_open(file, framework="numpy") as opened:
        metadata: Mapping[str, str] = opened.metadata() or {}
    try:
        found: Mapping[str, Any] = json.loads(metadata.get(METADATA, "{}"))
        seen: Any = found.get("seen", [])
    except (ValueError, AttributeError):
        found, seen = {}, None
    if not isinstance(seen, list) or not all(isinstance(digest, str) for digest in seen):  # pyright: ignore[reportUnknownVariableType]
        raise ClaimError(f"{file}: its metadata do not say which rows its directions were found on.")
    return tuple(seen), _recipe(found)  # pyright: ignore[reportUnknownArgumentType]


def _recipe(said: Mapping[str, Any]) -> FitRecipe | None:
    match said:
        case {"method": str(method), "variable": str(variable), "component": str(component), "at": str(at),
              "seen": [*seen], "asked": {**asked}, "provenance": {"seed": int(seed), **more}}:  # fmt: skip
            model: Any = more.get("model")
            name = model.get("name") if isinstance(model, Mapping) else None  # pyright: ignore
            return FitRecipe(
                method, variable, component, at, tuple(seen), asked, seed, name if isinstance(name, str) else ""
            )
        case _:
            return None
