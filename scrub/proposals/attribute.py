"""From differences and gradients to estimates: products summed over features, then over the positions of a node."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.shape import Shape
from scrub.proposals.forward import Arrays, Forward, Key, PatchBatch
from scrub.proposals.live import check_live
from scrub.proposals.nodes import extent
from scrub.proposals.rules import Rules, steps_of

Scores = dict[str, Float[Tensor, "row layer unit column"]]  # by kind of node


def keys_of(kinds: Iterable[str], shape: Shape) -> list[Key]:
    """Every (kind, layer) of some kinds of nodes."""
    return [(kind, layer) for kind in kinds for layer in range(extent(kind, shape)[0])]


def over_positions(batch: PatchBatch, found: Float[Tensor, "row t unit"]) -> Float[Tensor, "row unit column"]:
    """The sum over the positions of each column."""
    if batch.summed:
        return found.sum(1).unsqueeze(-1)
    return torch.einsum("rtu,rtc->ruc", found, batch.columns.to(found.dtype))


def first_order(batch: PatchBatch, kinds: Iterable[str], base: Arrays, gradients: Arrays) -> Scores:
    """`(n(source) - n(base)) . gradient` for every node, per row (AtP, Kramar et al. 2024, eq. 4)."""
    found: Scores = {}
    space = batch.space
    for kind in kinds:
        found[kind] = stacked(
            over_positions(
                batch, space.product((kind, n), base, batch.source_values, gradients[space.place(kind, n)])
            )
            for n in range(space.extent(kind)[0])
        )
    return found


def stacked(layers: Iterable[Float[Tensor, "row unit column"]]) -> Float[Tensor, "row layer unit column"]:
    return torch.stack([layer.detach() for layer in layers], dim=1)


def at_base(batch: PatchBatch, kinds: tuple[str, ...], rules: Rules = ()) -> Scores:
    """First-order estimates with the gradient at the base run, under some rules."""
    run, gradients = ruled(batch, kinds, rules)
    return first_order(batch, kinds, run.nodes, gradients)


def ruled(batch: PatchBatch, kinds: Iterable[str], rules: Rules) -> tuple[Forward, Arrays]:
    """A run on the base rows and its gradients under rules. Raises ModelError."""
    run = batch.forward(steps_of(rules))
    return run, checked(batch, run, kinds, rules)


def checked(batch: PatchBatch, run: Forward, kinds: Iterable[str], rules: Rules) -> Arrays:
    """The gradients of a run under rules, each rule seen to be live in the first call. Raises ModelError."""
    gradients = run.gradients(batch.space.places({*kinds, "resid"}))
    if set(rules) - set(batch.passes.rules):
        batch.passes.rules.update(check_live(batch, run.nodes, gradients, rules))
    return gradients
