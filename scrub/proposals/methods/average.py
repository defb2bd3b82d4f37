"""The mean of the gradients at both ends: the trapezoid of two points."""

from __future__ import annotations

from scrub.proposals.attribute import Scores, first_order
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, Method


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """The difference times the mean of the gradients at base and source."""
    keys = batch.space.places(asked.kinds)
    base, source = batch.forward(), batch.swapped.forward()
    here, there = base.gradients(keys), source.gradients(keys)
    mean = {key: (here[key] + there[key]) / 2 for key in keys}
    return first_order(batch, asked.kinds, base.nodes, mean)


METHOD = Method(
    "difference times the mean gradient of base and source",
    "clean-corrupted average, Hanna et al. 2024 (arXiv 2403.17806)",
    nodes,
    elsewhere=True,
)
