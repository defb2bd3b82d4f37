"""The weights of a model of TransformerLens' native form, taken from its tensors by name, without TransformerLens.

What a bridge around the same tensors is read as, to the bit: `scrub.model.recorded` says when it is trusted to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from math import sqrt

import attrs
import torch
from attrs import frozen
from jaxtyping import Float
from torch import Tensor

from scrub.model.checkpoints.settings import Settings
from scrub.model.digest import digest
from scrub.model.weights import Attn, Block, Mlp, Norm, Rotary, Transformer

FAMILY = "TransformerLensNative"
_ACTS = {"gelu_new": "gelu_tanh", "solu_ln": "solu"}  # the norm of the latter is a part of its own


def native_weights(state: Mapping[str, Tensor], settings: Settings, name: str) -> Transformer:
    """The model of tensors under native names, in fp32; `settings` are whole. Raises KeyError for what is missing."""
    part = NativePart({key: tensor.float() for key, tensor in state.items()}, settings)
    rotary = _rotary(settings) if settings["positional_embedding_type"] == "rotary" else None
    unembed = part.tensor("unembed.weight")
    found = Transformer(
        shape=attrs.evolve(settings.shape(), family=FAMILY),
        W_E=part.tensor("embed.weight"),
        W_pos=None if rotary else part.tensor("pos_embed.weight"),
        blocks=tuple(_block(part.inside(f"blocks.{layer}."), rotary) for layer in range(settings["n_layers"])),
        ln_final=part.norm("ln_final", rms=bool(settings["final_rms"])),
        W_U=unembed.T,
        b_U=part.maybe("unembed.bias", unembed.new_zeros(len(unembed))),
        name=name,
        logit_cap=_cap(settings["output_logits_soft_cap"]),
    )
    return attrs.evolve(found, revision=cache(partial(digest, found)))


@frozen(eq=False)
class NativePart:
    """The tensors of a part of a model, all of whose names begin with `prefix`, and the settings of the model."""

    state: Mapping[str, Tensor]
    settings: Settings
    prefix: str = ""

    def inside(self, prefix: str) -> NativePart:
        return NativePart(self.state, self.settings, self.prefix + prefix)

    def tensor(self, name: str) -> Tensor:
        return self.state[self.prefix + name]

    def maybe(self, name: str, otherwise: Tensor | None = None) -> Tensor | None:
        return self.state.get(self.prefix + name, otherwise)

    def norm(self, name: str, rms: bool = False) -> Norm:
        """`LNPre` and `RMSPre` have no weights; `rms` is asked for where blocks may have another kind."""
        said: str | None = self.settings["normalization_type"]
        if said is None and not rms:
            return Norm("none")
        kind = "rms" if rms or str(said).startswith("RMS") else "layer"
        weight, bias = self.maybe(f"{name}.weight"), self.maybe(f"{name}.bias")
        return Norm(kind, weight, bias if kind == "layer" else None, float(self.settings["eps"]))

    def heads(self, name: str) -> Float[Tensor, "h d e"]:
        """A matrix [heads times e, d], a view of it as each head reads."""
        return self.tensor(f"{name}.weight").unflatten(0, (-1, self.settings["d_head"])).transpose(1, 2)

    def biases(self, name: str) -> Float[Tensor, "h e"]:
        return self.tensor(f"{name}.bias").unflatten(0, (-1, self.settings["d_head"]))


def _block(part: NativePart, rotary: Rotary | None) -> Block:
    attn = _attn(part.inside("attn."), rotary)
    if part.settings["attn_only"]:
        return Block(part.norm("ln1"), attn)
    return Block(part.norm("ln1"), attn, ln2=part.norm("ln2"), mlp=_mlp(part.inside("mlp.")))


def _attn(part: NativePart, rotary: Rotary | None) -> Attn:
    said = part.settings
    scaled = said["use_attn_scale"] and said["attn_scale"] > 0
    return Attn(
        W_Q=part.heads("q"), W_K=part.heads("k"), W_V=part.heads("v"),
        W_O=part.tensor("o.weight").T.unflatten(0, (-1, said["d_head"])),
        b_Q=part.biases("q"), b_K=part.biases("k"), b_V=part.biases("v"), b_O=part.tensor("o.bias"),
        scale=1.0 / float(said["attn_scale"] if scaled else sqrt(said["d_head"])),
        causal=said["attention_dir"] == "causal", rotary=rotary, cap=_cap(said["attn_scores_soft_cap"]),
    )  # fmt: skip


def _mlp(part: NativePart) -> Mlp:
    act: str = part.settings["act_fn"]
    gate = part.tensor("gate.weight").T if part.settings["gated_mlp"] else None
    return Mlp(
        W_in=part.tensor("in.weight").T, W_out=part.tensor("out.weight").T, act=_ACTS.get(act, act),
        b_in=part.maybe("in.bias"), b_out=part.maybe("out.bias"), W_gate=gate, b_gate=part.maybe("gate.bias"),
        ln=_norm_of_neurons(part) if act == "solu_ln" else None,
    )  # fmt: skip


def _norm_of_neurons(part: NativePart) -> Norm:
    return Norm("layer", part.tensor("ln.weight"), part.tensor("ln.bias"), float(part.settings["eps"]))


def _cap(said: float) -> float | None:
    return float(said) if said > 0 else None


def _rotary(settings: Settings) -> Rotary:
    """Angles of neighbours, as RoFormer has them (Su et al. 2021, eq. 15)."""
    width = settings["rotary_dim"] or settings["d_head"]
    speeds = 1.0 / (float(settings["rotary_base"]) ** (torch.arange(0, width, 2).float() / width))
    angles = torch.outer(torch.arange(settings["n_ctx"]).float(), speeds)
    cos, sin = (table.repeat_interleave(2, dim=-1) for table in (angles.cos(), angles.sin()))
    return Rotary(cos, sin, interleaved=True)
