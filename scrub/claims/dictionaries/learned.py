"""A dictionary that was trained here: where it lies, in SAELens' layout, and what it was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen

from scrub.anatomy.names import Component
from scrub.claims.dictionaries import saelens
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError
from scrub.shown import shown

_HOOKS = {"embed": "hook_embed", "mlp": "blocks.{}.hook_mlp_out", "attn": "blocks.{}.hook_attn_out"}


@frozen(eq=False)
class LearnedDictionary:
    """What `scrub.fit.dictionary` returns; `latents(learned.folder, "3 17")` are parts of `component`."""

    folder: Path
    component: Component
    at: str
    size: int
    topk: int
    seen: tuple[str, ...] = field(repr=False)
    found: Mapping[str, Any] = field(factory=dict[str, Any])
    provenance: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def hook_of(component: Component, n_layers: int) -> str:
    """The hook that holds what a component writes. Raises ClaimError where a dictionary's files could not name it."""
    if component.traits.is_stream:
        layer = component.layer or 0
        return f"blocks.{layer}.hook_resid_pre" if layer < n_layers else f"blocks.{layer - 1}.hook_resid_post"
    if component.kind not in _HOOKS:
        raise ClaimError(
            f"a dictionary is trained of streams, MLPs, attention or embeddings, and not of {component}."
        )
    return _HOOKS[component.kind].format(component.layer)


def write(folder: Path, arrays: Mapping[str, np.ndarray], topk: int, said: Mapping[str, Any]) -> None:
    """Write a new directory as SAELens would. Raises ClaimError for one that is there, or cannot be made."""
    from safetensors.numpy import save_file

    count, width = arrays["W_dec"].shape
    config = {
        "architecture": "topk", "k": topk, "d_in": width, "d_sae": count, "dtype": "float32", "metadata": dict(said),
    }  # fmt: skip
    try:
        folder.mkdir(parents=True)
        kept = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
        save_file(kept, folder / saelens.WEIGHTS)
        (folder / saelens.CONFIG).write_text(json.dumps(config, indent=1))
    except OSError as error:
        raise ClaimError(f"{folder}: a new directory is made for a dictionary: {error.strerror}.") from None
