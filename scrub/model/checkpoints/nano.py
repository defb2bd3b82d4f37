"""nanoGPT's layout: `transformer.h.0.attn.c_attn.weight` is [3 d_model, d_model], queries, keys and values.

Its GELU is the exact one (`act_fn="gelu"`); versions before 2023 had the approximation: say `act_fn="gelu_new"`.
A model with `bias=False` has none, here zeros.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scrub.errors import ModelError
from scrub.model.checkpoints.layout import CheckpointLayout, State, count
from scrub.model.checkpoints.settings import Settings

_BLOCK = {
    "ln_1": "ln1", "attn.c_proj": "attn.o", "ln_2": "ln2", "mlp.c_fc": "mlp.in", "mlp.c_proj": "mlp.out"
}  # fmt: skip
_ENDS = {"wte.weight": "embed.weight", "wpe.weight": "pos_embed.weight", "ln_f.weight": "ln_final.weight"}


def _plain(state: State) -> dict[str, Tensor]:
    return {name.removeprefix("transformer."): tensor for name, tensor in state.items()}


def shows(state: State, settings: Settings) -> dict[str, Any]:
    """The sizes. Raises ModelError for Hugging Face's GPT-2, whose matrices lie the other way."""
    plain = _plain(state)
    joint, into, words = plain["h.0.attn.c_attn.weight"], plain["h.0.mlp.c_fc.weight"], plain["wte.weight"]
    if joint.shape[0] != 3 * joint.shape[1]:
        raise ModelError(
            f"h.0.attn.c_attn.weight is of shape {tuple(joint.shape)}: that is Hugging Face's GPT-2, no nanoGPT. "
            "Give the model as its library loads it, or the directory that save_pretrained wrote."
        )
    width = joint.shape[1]
    heads = settings["n_heads"]
    if heads and width % heads:
        raise ModelError(f"{settings.file}: n_heads is {heads}, and the width, {width}, is no multiple of it.")
    found: dict[str, Any] = {
        "n_layers": count(plain, "h."), "d_model": width, "d_mlp": into.shape[0], "d_vocab": words.shape[0],
        "n_ctx": plain["wpe.weight"].shape[0], "positional_embedding_type": "standard", "normalization_type": "LN",
    }  # fmt: skip
    usual = {} if "act_fn" in settings.said else {"act_fn": "gelu"}
    return found | usual | ({"d_head": width // heads} if heads else {})


def native(state: State, settings: Settings) -> tuple[dict[str, Tensor], Settings]:
    plain = _plain(state)
    made = {name: plain[own] for own, name in _ENDS.items()}
    made["ln_final.bias"] = _bias(plain, "ln_f", settings["d_model"])
    made["unembed.weight"] = plain.get("lm_head.weight", plain["wte.weight"])
    for layer in range(settings["n_layers"]):
        made |= _layer(plain, layer, settings["d_model"])
    return made, settings


def _layer(plain: State, layer: int, width: int) -> dict[str, Tensor]:
    own, name = f"h.{layer}", f"blocks.{layer}"
    joint = f"{own}.attn.c_attn"
    made: dict[str, Tensor] = {}
    for i, part in enumerate("qkv"):
        rows = slice(i * width, (i + 1) * width)
        made[f"{name}.attn.{part}.weight"] = plain[f"{joint}.weight"][rows]
        made[f"{name}.attn.{part}.bias"] = _bias(plain, joint, 3 * width)[rows]
    for theirs, ours in _BLOCK.items():
        weight = plain[f"{own}.{theirs}.weight"]
        made[f"{name}.{ours}.weight"] = weight
        made[f"{name}.{ours}.bias"] = _bias(plain, f"{own}.{theirs}", weight.shape[0])
    return made


def _bias(plain: State, name: str, size: int) -> Tensor:
    return plain.get(f"{name}.bias", torch.zeros(size))


LAYOUT = CheckpointLayout("nanoGPT's (transformer.h.0.attn.c_attn.weight)", "h.0.attn.c_attn.weight", shows, native)
