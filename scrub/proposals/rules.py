"""Rules of relevance propagation: steps of the pass with their own values and other gradients, chosen per call.

RelP (Jafari et al. 2025, arXiv 2508.21258) takes `ln`, `identity` and `half`; AttnLRP (Achtibat et al. 2024, arXiv
2402.05602) adds `split`, and `qknorm` where heads have norms; CP-LRP (Ali et al. 2022, arXiv 2202.07304) has
`attention` and `gate` in place of `split` and `half`. Linear maps keep the ordinary gradient (0-rule).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from scrub.anatomy.tolerances import AT_ZERO
from scrub.errors import ClaimError, did_you_mean
from scrub.model.layers import ACTIVATIONS, PLAIN, Scoring, Steps, attend, neurons, norm, normed_neurons
from scrub.model.places import beside
from scrub.model.products import affine
from scrub.model.weights import Mlp, Norm, Transformer, norms_of

RULES = {
    "ln": "the scale of a norm that reads the stream is constant",
    "qknorm": "the scale of heads' own norms of queries and keys is constant",
    "identity": "an activation passes relevance as it is: act(x)/x in place of its derivative",
    "half": "a gated product gives half to either factor",
    "gate": "the gate is constant: all goes to what it multiplies",
    "attention": "the attention pattern is constant: nothing goes to queries and keys",
    "split": "attention gives a quarter to queries, a quarter to keys, half to values",
}
RELP = ("ln", "identity", "half")
ONE_OF = (("half", "gate"), ("attention", "split"))  # rules that say two things of one step

Rules = tuple[str, ...]


def parse_rules(words: str | Iterable[str] | None, default: Rules = RELP) -> Rules:
    """Rules by name, in their order; `""` is none. Raises ClaimError for an unknown one, or two that contradict."""
    if words is None:
        return default
    listed = words.replace(",", " ").split() if isinstance(words, str) else list(words)
    for word in listed:
        if word not in RULES:
            near = did_you_mean(str(word), RULES)
            raise ClaimError(f"rules={words!r}: there is no rule {word!r}.{near} Known: {', '.join(RULES)}.")
    for one, other in ONE_OF:
        if {one, other} <= set(listed):
            text = f"{one!r} ({RULES[one]}) and {other!r} ({RULES[other]})"
            raise ClaimError(f"rules={words!r}: {text} exclude each other: give one.")
    return tuple(rule for rule in RULES if rule in listed)


def steps_of(rules: Rules) -> Steps:
    """The steps of a pass whose gradients follow the rules. Its values are those of the plain pass, bit by bit."""
    if not rules:
        return PLAIN
    return Steps(
        norm=_norm if "ln" in rules else norm,
        own=_norm if "qknorm" in rules else norm,
        attend=_attention(rules) if {"attention", "split"} & set(rules) else attend,
        neurons=_activations(rules) if {"identity", "half", "gate"} & set(rules) else neurons,
    )


def applies(rule: str, model: Transformer, layer: int) -> bool:
    """Whether a layer has anything that a rule changes; a ReLU follows the identity rule by itself."""
    block = model.blocks[layer]
    mlp = block.mlp if isinstance(block.mlp, Mlp) else None
    match rule:
        case "ln":
            return any(n.kind != "none" for n in norms_of(block).values())
        case "identity":
            return mlp is not None and mlp.act not in ("relu", "identity")
        case "qknorm":
            return bool(norms_of(block.attn))
        case "half" | "gate":
            return mlp is not None and mlp.W_gate is not None
        case _:
            return True


class _Instead(Function):
    """The value of one tensor, the gradient of another."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, surrogate: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


class _Scaled(Function):
    """A tensor whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, by: float) -> Tensor:
        ctx.by = by
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.by, None


def instead(value: Float[Tensor, "*s"], surrogate: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """`value`, bit by bit, with the gradient that `surrogate` has."""
    return _Instead.apply(value.detach(), surrogate)  # pyright: ignore[reportReturnType]


def scaled(value: Float[Tensor, "*s"], by: float) -> Float[Tensor, "*s"]:
    """`value` with `by` times its gradient."""
    return _Scaled.apply(value, by)  # pyright: ignore[reportReturnType]


class _Gated(Function):
    """A tensor whose gradient is dropped while `dropping` holds its layer."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, dropping: Tensor, layer: int) -> Tensor:
        ctx.dropping, ctx.layer = dropping, layer
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] * (int(ctx.dropping) != ctx.layer), None, None


def gated(value: Float[Tensor, "*s"], dropping: Tensor, layer: int) -> Float[Tensor, "*s"]:
    """`value`, with no gradient in a backward pass while `dropping` holds `layer`."""
    return _Gated.apply(value, dropping, layer)  # pyright: ignore[reportReturnType]


def _norm(n: Norm, x: Tensor) -> Tensor:
    # The value is the plain norm's, bit by bit, so that a rule never changes what a model computes; `x * scale` is
    # the same up to rounding, and gives the gradient alone.
    if n.kind == "none":
        return norm(n, x)
    with torch.no_grad():
        value = norm(n, x)
        spread = x - x.mean(-1, keepdim=True) if n.kind == "layer" else x
        scale = (spread.square().mean(-1, keepdim=True) + n.eps).rsqrt()
    centred = x - x.mean(-1, keepdim=True) if n.kind == "layer" else x
    return instead(value, centred * (scale if n.weight is None else scale * beside(x, n.weight)))


def _activations(rules: Rules) -> Any:
    identity = "identity" in rules

    def step(m: Mlp, x: Tensor) -> Tensor:
        hidden = affine(x, m.W_in, m.b_in)
        if m.W_gate is None:
            return normed_neurons(m, _activated(m.act, hidden, identity))
        gate = _activated(m.act, affine(x, m.W_gate, m.b_gate), identity)
        # Relevance of a product is counted twice by its two derivatives; half to each, or all to one, counts it once.
        product = (gate.detach() if "gate" in rules else gate) * hidden
        return normed_neurons(m, scaled(product, 0.5) if "half" in rules else product)

    return step


def _activated(name: str, x: Tensor, identity: bool) -> Tensor:
    act = ACTIVATIONS[name]
    if not identity:
        return act(x)
    with torch.no_grad():
        value = act(x)
        # act(x)/x is 0/0 at 0: in its place stands what it is at a point beside, which is its limit there.
        away = torch.where(x.abs() < AT_ZERO, torch.full_like(x, AT_ZERO), x)
        slope = torch.where(x.abs() < AT_ZERO, act(away), value) / away
    return instead(value, x * slope)


def _attention(rules: Rules) -> Any:
    def step(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scoring: Scoring) -> Tensor:
        if "attention" in rules:
            q, k = q.detach(), k.detach()
        elif "split" in rules:
            q, k, v = scaled(q, 0.25), scaled(k, 0.25), scaled(v, 0.5)
        return attend(q, k, v, mask, scoring)

    return step
