"""Parts of a frozen claim: their arrays in one file, known by their digests; nothing of it is pickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.part import DIRECTIONS, LATENTS, HostPart, array_digest
from scrub.claims.dictionaries.card import StoredDictionary
from scrub.claims.dictionaries.layouts import read
from scrub.errors import ClaimError

Arrays = Mapping[str, Mapping[str, np.ndarray]]
_NEEDED = {DIRECTIONS: {"basis"}, LATENTS: {"encoder", "decoder"}}


def read_arrays(content: bytes, file: Path) -> Arrays:
    """Arrays by the digest of the part that has them. Raises ClaimError for other bytes than that digest says."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    found: dict[str, dict[str, np.ndarray]] = {}
    try:
        for name, array in load(content).items():
            digest, _, own = name.partition(".")
            found.setdefault(digest, {})[own] = array
    except (SafetensorError, ValueError, KeyError) as error:
        raise ClaimError(f"{file}: the arrays of its parts cannot be read: {error}.") from None
    for digest, arrays in found.items():
        if array_digest(arrays) != digest:
            raise ClaimError(f"{file}: the arrays of part {digest} are not those of its digest: they were changed.")
    return found


@frozen(eq=False)
class FrozenParts:
    """The file of a claim, and the arrays beside it."""

    file: Path
    arrays: Arrays

    def component(self, name: str, part: Any) -> Component:
        """Raises ClaimError for a name that is none, ValueError for a part that is not as it is written."""
        if part is None:
            return parse_component(name, parts=True)
        return evolve(parse_component(name.partition("[")[0], parts=True), part=self._part(part))

    def _part(self, found: Any) -> HostPart:
        match found:
            case {"code": str(code), "digest": str(digest), "indices": list(indices), "settings": dict(settings),
                  "name": str(name), **others} if _lies(others) is not None and code in _NEEDED:  # fmt: skip
                arrays = self.arrays.get(digest, {})
            case _:
                raise ValueError(f"{found!r:.80} is no part as it is written")
        if not _NEEDED[code] <= arrays.keys():
            raise ValueError(f"the arrays of {code} {digest} do not lie beside the claim")
        if wrong := [i for i in indices if type(i) is not int or i < 0]:
            raise ValueError(f"{wrong[0]!r} is no number of a latent")
        if code == LATENTS and not 0 < len(indices) == len(arrays["decoder"]):
            raise ValueError(f"{len(indices)} latents are named, and {len(arrays['decoder'])} have arrays")
        kept = tuple(sorted((str(key), str(value)) for key, value in settings.items()))
        part = HostPart(code, digest, tuple(indices), kept, name, arrays, lies=_lies(others) or "")
        return evolve(part, source=self._at_hand(part))

    def _at_hand(self, part: HostPart) -> StoredDictionary | None:
        """The dictionary of latents, where it lies as it did, or by its name beside the claim; not another one."""
        beside = (
            [] if not part.lies else [Path(part.lies), *(f / Path(part.lies).name for f in self.file.parents[:2])]
        )
        for place in filter(Path.exists, beside):
            try:
                found = read(place)
                if found.digest == part.setting("dictionary"):
                    return found
            except (ClaimError, OSError):
                continue
        return None


def _lies(others: Mapping[str, Any]) -> str | None:
    """Where a dictionary lay; an empty text where nothing says so, None for anything else that is said."""
    lies = others.get("lies", "")
    return lies if others.keys() <= {"lies"} and isinstance(lies, str) else None
