"""Gemma Scope (Lieberum et al. 2024): `params.npz`, JumpReLU; model, layer and place stand in its path.

Transcoders read as the published loaders have it, at `ln2.hook_normalized`: normed without the norm's own weights.
"""

from __future__ import annotations

import re
from pathlib import Path

from scrub.anatomy.names import Component
from scrub.claims.dictionaries.card import NORMALIZED, DictionaryCard, StoredDictionary
from scrub.claims.dictionaries.stored import arrays_of, refuse_others
from scrub.errors import ClaimError

WEIGHTS = "params.npz"
_ARRAYS = {
    "W_enc": "encoder", "W_dec": "decoder", "b_enc": "bias", "threshold": "threshold",
}  # fmt: skip
_PLACES = {"res": ("resid", 1), "mlp": ("mlp", 0), "transcoders": ("mlp", 0)}


def read(folder: Path) -> StoredDictionary | None:
    """The dictionary of a folder that has such a file, None for another. Raises ClaimError."""
    if not (folder / WEIGHTS).is_file():
        return None
    found = arrays_of(folder / WEIGHTS)
    refuse_others(found, " ".join([*_ARRAYS, "b_dec"]), str(folder / WEIGHTS))
    if lacking := [name for name in _ARRAYS if name not in found]:
        raise ClaimError(
            f"{folder / WEIGHTS}: {', '.join(lacking)} is missing; Gemma Scope has {', '.join(_ARRAYS)}."
        )
    return StoredDictionary(_card(folder), {_ARRAYS[n]: array for n, array in found.items() if n in _ARRAYS})


def _card(folder: Path) -> DictionaryCard:
    """From a path such as `gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71`; what it does not say is open."""
    path = str(folder.absolute())
    layer = re.findall(r"layer_([0-9]{1,9})", path)
    kind = re.findall(r"gemma-scope-(\w+)-(pt|it)-(\w+)", path)
    size, tuned, place = kind[-1] if kind else ("", "", "")
    if place == "att":
        raise ClaimError(
            f"{folder}: Gemma Scope's attention dictionaries read what heads hold before W_O, and a part of a head "
            "is of what it writes."
        )
    model = f"gemma-2-{size}{'-it' if tuned == 'it' else ''}" if kind else ""
    if place not in _PLACES or not layer:
        return DictionaryCard(str(folder), model=model)
    word, later = _PLACES[place]
    reads = NORMALIZED if place == "transcoders" else ""
    return DictionaryCard(str(folder), Component(word, int(layer[-1]) + later), reads, model)
