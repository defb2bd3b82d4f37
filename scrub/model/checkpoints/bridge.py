"""The layout of TransformerLens' own native models: `blocks.0.attn.q.weight` is [heads times d_head, d_model]."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from scrub.model.checkpoints.layout import CheckpointLayout, State, count
from scrub.model.checkpoints.settings import Settings


def shows(state: State, settings: Settings) -> dict[str, Any]:
    """The sizes that are no product of heads."""
    found: dict[str, Any] = {"n_layers": count(state, "blocks."), "d_model": state["embed.weight"].shape[1]}
    found |= {"d_vocab": state["embed.weight"].shape[0], "attn_only": "blocks.0.mlp.out.weight" not in state}
    if "pos_embed.weight" in state:
        found |= {"n_ctx": state["pos_embed.weight"].shape[0], "positional_embedding_type": "standard"}
    return found


def native(state: State, settings: Settings) -> tuple[dict[str, Tensor], Settings]:
    return dict(state), settings


LAYOUT = CheckpointLayout("TransformerLens' native one (blocks.0.attn.q.weight)", ".attn.q.weight", shows, native)
