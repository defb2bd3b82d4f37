"""dictionary_learning (Marks et al.): `ae.pt`, a state dict, beside `config.json`; as `load_dictionary` has them.

Thresholds of BatchTopK stand in the state dict. As there, decoder rows of an `AutoEncoder` are given length one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from scrub.anatomy.names import Component
from scrub.claims.dictionaries.card import DictionaryCard, Held, StoredDictionary, as_json, same, with_unit_rows
from scrub.claims.dictionaries.stored import Arrays, StoredArray, arrays_of, refuse_others
from scrub.errors import ClaimError

CONFIG, WEIGHTS = "config.json", "ae.pt"


def _gained(found: Held) -> Held:
    return {**found, "gain": np.exp(found["gain"])}


@frozen
class ClassLayout:
    """A class of the package: its arrays by what they are (`name.T`: turned), and what is made of them."""

    arrays: Mapping[str, str]
    other: str = ""
    finish: Callable[[Held], Held] = same
    whole: bool = False


_LINEAR = {"encoder.weight.T": "encoder", "encoder.bias": "bias", "decoder.weight.T": "decoder"}
_PLAIN = {"W_enc": "encoder", "b_enc": "bias", "W_dec": "decoder"}
FORMS = {
    "AutoEncoder": ClassLayout({**_LINEAR, "bias": "centre"}, finish=with_unit_rows),
    "AutoEncoderNew": ClassLayout(_LINEAR, "decoder.bias"),
    "GatedAutoEncoder": ClassLayout(
        {
            "encoder.weight.T": "encoder", "decoder.weight.T": "decoder", "decoder_bias": "centre", "r_mag": "gain",
            "gate_bias": "gate", "mag_bias": "bias",
        },
        finish=_gained,
    ),
    "JumpReluAutoEncoder": ClassLayout({**_PLAIN, "threshold": "threshold"}, "b_dec"),
    "AutoEncoderTopK": ClassLayout({**_LINEAR, "b_dec": "centre"}, "k threshold", whole=True),
    "BatchTopKSAE": ClassLayout({**_LINEAR, "b_dec": "centre", "threshold": "threshold"}, "k"),
    "MatryoshkaBatchTopKSAE": ClassLayout({**_PLAIN, "b_dec": "centre", "threshold": "threshold"}, "k group_sizes"),
}  # fmt: skip


def read(folder: Path) -> StoredDictionary | None:
    """The dictionary of a folder that has such files, None for another. Raises ClaimError."""
    if not (folder / WEIGHTS).is_file():
        return None
    config = as_json(folder / CONFIG).get("trainer")
    if not isinstance(config, Mapping):
        raise ClaimError(f"{folder / CONFIG}: it has no 'trainer', which says what class the dictionary is of.")
    given: Mapping[str, Any] = config  # pyright: ignore[reportUnknownVariableType]
    kind = str(given.get("dict_class"))
    if kind not in FORMS:
        raise ClaimError(f"{folder / CONFIG}: dict_class {kind!r} is not known. Known: {', '.join(FORMS)}.")
    found = arrays_of(folder / WEIGHTS)
    arrays = _arrays(found, FORMS[kind], folder)
    settings = {"topk": _topk(given, found, folder)} if FORMS[kind].whole else {}
    return StoredDictionary(_card(folder, given), arrays, settings, FORMS[kind].whole, FORMS[kind].finish)


def _arrays(found: Arrays, form: ClassLayout, folder: Path) -> dict[str, StoredArray]:
    names = {name.removesuffix(".T"): (role, name.endswith(".T")) for name, role in form.arrays.items()}
    refuse_others(found, f"{' '.join(names)} {form.other}", str(folder / WEIGHTS))
    if lacking := [name for name in names if name not in found]:
        raise ClaimError(f"{folder / WEIGHTS}: {', '.join(lacking)} is missing.")
    made = {role: found[name].turned if turned else found[name] for name, (role, turned) in names.items()}
    if (floor := made.get("threshold")) is not None and floor.shape == ():
        made["threshold"] = StoredArray(np.full(made["encoder"].shape[1], floor.read()))
    return made


def _topk(config: Mapping[str, Any], found: Arrays, folder: Path) -> str:
    k = config.get("k")
    held = int(found["k"].read()) if "k" in found else k
    if type(k) is not int or k != held or k < 1:
        raise ClaimError(f"{folder}: {CONFIG} says that k={k!r} latents are active, and {WEIGHTS} k={held!r}.")
    return str(k)


def _card(folder: Path, config: Mapping[str, Any]) -> DictionaryCard:
    """`layer`, `lm_name` and a `submodule_name` such as `resid_post_layer_8`; what is not said is open."""
    layer, name = config.get("layer"), str(config.get("submodule_name") or "")
    model = str(config.get("lm_name") or "")
    match = re.match(r"resid_post|resid_pre|mlp_out|attn_out", name)
    if type(layer) is not int or match is None:
        return DictionaryCard(str(folder), model=model)
    kind, _, end = match[0].partition("_")
    return DictionaryCard(str(folder), Component(kind, layer + (end == "post")), model=model)
