"""The rotary tables of a bridge."""

from __future__ import annotations

import inspect
from typing import Any

import attrs
import torch
from torch import Tensor

from scrub.model.take import Take, setting, text_config
from scrub.model.weights import Rotary


@attrs.frozen
class Rotaries:
    """The rotary tables of a bridge's layers: one for all, or for each type of layer; some layers may have none."""

    bridge: Any
    n_ctx: int
    take: Take
    known: dict[str | None, Rotary] = attrs.field(factory=dict[str | None, Rotary])  # kept by type of layer

    def of(self, layer: int) -> Rotary | None:
        if str(setting(self.bridge, "positional_embedding_type", "none")).lower() != "rotary":
            return None
        attn: Any = self.bridge.blocks[layer].attn.original_component
        if not getattr(attn, "use_rope", True) or _without_angles(attn):
            return None
        kind = self._kind(layer)
        if kind not in self.known:
            self.known[kind] = _rotary(self.bridge, self.n_ctx, self.take, kind)
        return self.known[kind]

    def _kind(self, layer: int) -> str | None:
        """The type of a layer, where rotary angles differ by it."""
        rotary = _module(self.bridge)
        if rotary is None or "layer_type" not in inspect.signature(rotary.forward).parameters:
            return None
        return text_config(self.bridge).layer_types[layer]


def _module(bridge: Any) -> Any:
    """What computes the angles of the layers that read tokens; not every bridge has it as a part."""
    part = getattr(bridge, "rotary_emb", None)
    named = bridge.original_model.named_modules() if part is None else ()
    found = next((module for name, module in named if name.split(".")[-1] == "rotary_emb"), part)
    return getattr(found, "original_component", found)


def _without_angles(attn: Any) -> bool:
    """Whether a layer that sees everything has no rotary angles, where those that see a window have them."""
    if type(attn).__name__ not in ("Cohere2Attention", "Exaone4Attention") or not attn.config.sliding_window:
        return False
    return not getattr(attn, "is_sliding", getattr(attn, "sliding_window", None))


def _rotary(bridge: Any, n_ctx: int, take: Take, kind: str | None) -> Rotary:
    native = getattr(bridge.original_model, "rotary", None)
    if native is not None and hasattr(native, "cos_cached"):
        return Rotary(take.precisely(native.cos_cached), take.precisely(native.sin_cached), interleaved=True)
    joint = getattr(bridge.blocks[0].attn.original_component, "embed_positions", None)
    if isinstance(joint, Tensor):
        sin, cos = (take.precisely(table.repeat_interleave(2, dim=-1)) for table in joint[:n_ctx].chunk(2, dim=-1))
        return Rotary(cos, sin, interleaved=True)
    module = _module(bridge)
    if getattr(module, "rope_type", "default") in ("dynamic", "longrope"):
        raise ValueError(
            f"its rotary angles depend on the length of the row (rope_type {module.rope_type!r}; default, linear, "
            "llama3 and yarn do not)"
        )
    positions = torch.arange(n_ctx, device=bridge.embed.weight.device)[None]
    if hasattr(module, "mrope_section"):  # which turns by three places of an image, all one in a text (Qwen-VL)
        positions = positions.expand(3, 1, -1)
    found = module(torch.zeros(1, device=positions.device), positions, *([] if kind is None else [kind]))
    if isinstance(found, Tensor):  # complex numbers, one for each pair (DeepSeek V2)
        cos, sin = (take.precisely(part[0].repeat_interleave(2, dim=-1)) for part in (found.real, found.imag))
        return Rotary(cos, sin, interleaved=True)
    cos, sin = (table.flatten(0, -3)[:1] for table in found)
    sin = -sin if "NanoChat" in type(module).__name__ else sin  # which turns the other way
    if not _repeats(cos):  # one for each pair (gpt-oss)
        cos, sin = (torch.cat((table, table), dim=-1) for table in (cos, sin))
    half = cos.shape[-1] // 2
    # A half-split table repeats the angles of its first half in the second; the other kind, in neighbours.
    paired = not torch.equal(cos[..., :half], cos[..., half:])
    neighbours = setting(bridge, "rotary_adjacent_pairs", False) or _latent_pairs(bridge)
    if not paired and neighbours:  # (GLM, Ernie) spreads it as it turns
        cos, sin = (table[..., :half].repeat_interleave(2, dim=-1) for table in (cos, sin))
        paired = True
    return Rotary(take.precisely(cos[0]), take.precisely(sin[0]), interleaved=paired)


def _latent_pairs(bridge: Any) -> bool:
    """Whether neighbours turn together in latent attention."""
    latent = hasattr(bridge.blocks[0].attn.original_component, "kv_b_proj")
    return latent and bool(getattr(text_config(bridge), "rope_interleave", False))


def _repeats(table: Tensor) -> bool:
    """Whether a table has every angle twice: its first half in the second, or neighbours alike."""
    first, second = table.tensor_split([table.shape[-1] // 2], dim=-1)
    return torch.equal(first, second) or torch.equal(table[..., ::2], table[..., 1::2])
