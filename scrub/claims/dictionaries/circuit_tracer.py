"""circuit-tracer: a `.safetensors` file a layer beside a yaml that names model, hooks and files; transcoders of MLPs.

A skip connection belongs, like b_dec, to what remains of the MLP beside its latents.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from scrub.anatomy.names import Component
from scrub.claims.dictionaries.card import DictionaryCard, StoredDictionary, input_of_hook, place_of_hook
from scrub.claims.dictionaries.stored import Arrays, StoredArray, arrays_of, refuse_others
from scrub.errors import ClaimError, some

_NAMES = {
    "W_enc": "encoder", "W_dec": "decoder", "b_enc": "bias", "threshold": "threshold",
    "activation_function.threshold": "threshold",
}  # fmt: skip
_KEYS = "model_name model_kind feature_input_hook feature_output_hook transcoders scan"


def read(file: Path) -> StoredDictionary | None:
    """The transcoder of a file, or of a folder that has one, None where there is no yaml. Raises ClaimError."""
    folder = file if file.is_dir() else file.parent
    configs = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not configs or (not file.is_dir() and file.suffix != ".safetensors"):
        return None
    if file.is_dir():
        file = _only(file)
    config = _yaml(configs)
    found = arrays_of(file)
    refuse_others(found, " ".join([*_NAMES, "b_dec", "W_skip"]), str(file))
    return StoredDictionary(_card(file, config), _turned(found, file))


def _only(folder: Path) -> Path:
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        names = some((file.name for file in files), 4) or "none"
        raise ClaimError(
            f"{folder}: one transcoder is one file; it holds {names}. Write {folder}/layer_5.safetensors."
        )
    return files[0]


def _yaml(files: list[Path]) -> dict[str, Any]:
    import yaml

    if len(files) > 1:
        raise ClaimError(
            f"{files[0].parent}: one yaml says what its transcoders are, found {some(f.name for f in files)}."
        )
    try:
        found: Any = yaml.safe_load(files[0].read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ClaimError(f"{files[0]}: no yaml that can be read: {error}.") from None
    if not isinstance(found, dict):
        raise ClaimError(f"{files[0]}: no yaml of a set of transcoders: it has no keys.")
    refuse_others(found, _KEYS, str(files[0]))  # pyright: ignore[reportUnknownArgumentType]
    listed: Any = found.get("transcoders") or []  # pyright: ignore[reportUnknownMemberType]
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):  # pyright: ignore[reportUnknownVariableType]
        raise ClaimError(f"{files[0]}: transcoders are a list of entries with layer and filepath: {listed!r:.60}.")
    if (kind := found.get("model_kind", "transcoder_set")) != "transcoder_set":  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        raise ClaimError(f"{files[0]}: model_kind {kind!r} is not known here; it is transcoder_set.")
    return found  # pyright: ignore[reportUnknownVariableType]


def _card(file: Path, config: dict[str, Any]) -> DictionaryCard:
    listed = [
        t
        for t in config.get("transcoders") or []
        if str(t.get("filepath", "")).split("?")[0].endswith(f"/{file.name}") or t.get("filepath") == file.name
    ]
    named = re.fullmatch(r"layer_([0-9]{1,9})\.safetensors", file.name)
    layer = listed[0].get("layer") if listed else int(named[1]) if named else None
    if type(layer) is not int:
        raise ClaimError(f"{file}: its yaml does not say which layer it is of.")
    source = str(file)
    host = place_of_hook(f"blocks.{layer}.{config.get('feature_output_hook')}", source)
    reads = input_of_hook(str(config.get("feature_input_hook")), source)
    if host != Component.for_mlp(layer):
        raise ClaimError(f"{source}: it writes into {host}, and transcoders are of MLPs.")
    return DictionaryCard(source, host, reads, str(config.get("model_name") or ""))


def _turned(found: Arrays, file: Path) -> dict[str, StoredArray]:
    """Both matrices with the axes of a code: they lie in either order, which their biases tell."""
    made = {_NAMES[name]: array for name, array in found.items() if name in _NAMES}
    if lacking := [name for name in ("encoder", "decoder", "bias") if name not in made]:
        raise ClaimError(f"{file}: {', '.join(lacking)} is missing.")
    if [len(made[role].shape) for role in ("encoder", "decoder", "bias")] != [2, 2, 1]:
        shapes = ", ".join(f"{role} {list(made[role].shape)}" for role in ("encoder", "decoder", "bias"))
        raise ClaimError(f"{file}: encoder and decoder are matrices and the bias a vector, found {shapes}.")
    count = made["bias"].shape[0]
    if made["encoder"].shape[0] == made["encoder"].shape[1]:
        raise ClaimError(f"{file}: as many latents as d_model, {count}: which axis is which cannot be told.")
    for role, axis in (("encoder", 1), ("decoder", 0)):
        made[role] = made[role] if made[role].shape[axis] == count else made[role].turned
    return made
