"""HookedTransformer's layout, of TransformerLens 1 to 3: `blocks.0.attn.W_Q` is [head d_model d_head].

What a HookedTransformer computes and a native model does not is put into the weights, exactly but for rounding:
scores that are not divided by the root of d_head, or by the layer as well, are a factor of the queries; rotary
angles of halves are angles of neighbours after the axes of queries and keys were exchanged; a gated MLP's b_in, which
TransformerLens adds behind the gate, is a part of b_out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from scrub.model.checkpoints.layout import CheckpointLayout, State, count
from scrub.model.checkpoints.settings import Settings
from scrub.model.transformer import renamed

_BUFFERS = re.compile(r"(^|\.)(mask|IGNORE|rotary_sin|rotary_cos)$")
_ROTATED = re.compile(r"\.attn\.(_?[Wb]_K|[Wb]_Q)$")
_QUERIES = re.compile(r"blocks\.(\d+)\.attn\.[Wb]_Q$")


def shows(state: State, settings: Settings) -> dict[str, Any]:
    """The sizes, and the forms that names tell."""
    queries = state["blocks.0.attn.W_Q"]
    keys = state.get("blocks.0.attn._W_K", state.get("blocks.0.attn.W_K", queries))
    found: dict[str, Any] = {
        "n_layers": count(state, "blocks."), "n_heads": queries.shape[0], "n_key_value_heads": keys.shape[0],
        "d_model": queries.shape[1], "d_head": queries.shape[2],
        "attn_only": "blocks.0.mlp.W_in" not in state, "gated_mlp": "blocks.0.mlp.W_gate" in state,
    }  # fmt: skip
    return {**found, **dict(_ends(state)), **dict(_forms(state))}


def _ends(state: State) -> Iterator[tuple[str, int]]:
    for key, name, axis in (
        ("d_vocab", "embed.W_E", 0), ("d_vocab_out", "unembed.W_U", 1), ("d_mlp", "blocks.0.mlp.W_in", 1),
        ("n_ctx", "pos_embed.W_pos", 0),
    ):  # fmt: skip
        if name in state:
            yield key, state[name].shape[axis]


def _forms(state: State) -> Iterator[tuple[str, str]]:
    if "pos_embed.W_pos" in state:
        yield "positional_embedding_type", "standard"
    if "blocks.0.ln1.w" in state:
        yield "normalization_type", "LN" if "blocks.0.ln1.b" in state else "RMS"


def native(state: State, settings: Settings) -> tuple[dict[str, Tensor], Settings]:
    """Without buffers, under native names, the rest of the computation put into queries and keys."""
    kept = {name: tensor for name, tensor in state.items() if not _BUFFERS.search(name)}
    if settings["positional_embedding_type"] == "rotary" and not settings["rotary_adjacent_pairs"]:
        order = _neighbours(settings["rotary_dim"] or settings["d_head"], settings["d_head"])
        kept = {name: tensor[..., order] if _ROTATED.search(name) else tensor for name, tensor in kept.items()}
    kept = {name: tensor * _factor(name, settings) for name, tensor in kept.items()}
    kept = _ungated(kept) if settings["gated_mlp"] else kept
    kept = {**dict(_folded_norms(kept)), **kept} if settings["act_fn"] == "solu_ln" else kept
    usual = {"use_attn_scale": True, "attn_scale": -1.0}
    return renamed(settings.native() | usual, kept), Settings({**settings.said, **usual}, settings.file)


def _neighbours(rotated: int, width: int) -> Tensor:
    """Where axis i of halves goes so that i and i + half lie side by side; axes that are not rotated stay."""
    return torch.cat([torch.arange(rotated).view(2, -1).T.flatten(), torch.arange(rotated, width)])


def _ungated(state: State) -> dict[str, Tensor]:
    """Gated MLPs with b_in as a part of b_out: (act(gate) * in + b_in) W_out + b_out."""
    made = {name: tensor for name, tensor in state.items() if not name.endswith(".mlp.b_in")}
    for name in state.keys() - made.keys():
        mlp = name.removesuffix("b_in")
        made[f"{mlp}b_out"] = state[f"{mlp}b_out"] + state[name] @ state[f"{mlp}W_out"]
    return made


def _folded_norms(state: State) -> Iterator[tuple[str, Tensor]]:
    """The weights of the norms of neurons (SoLU) where they were folded away: ones and zeros."""
    for name, weight in state.items():
        if name.endswith(".mlp.W_out"):
            mlp = name.removesuffix("W_out")
            yield f"{mlp}ln.w", torch.ones_like(weight[:, 0])
            yield f"{mlp}ln.b", torch.zeros_like(weight[:, 0])


def _factor(name: str, settings: Settings) -> float:
    match = _QUERIES.match(name)
    if match is None:
        return 1.0
    root = sqrt(settings["d_head"])
    said = settings["attn_scale"] if settings["attn_scale"] > 0 else root
    divisor = said if settings["use_attn_scale"] else 1.0
    return root / divisor / (int(match[1]) + 1 if settings["scale_attn_by_inverse_layer_idx"] else 1)


LAYOUT = CheckpointLayout("HookedTransformer's (blocks.0.attn.W_Q)", ".attn.W_Q", shows, native)
