"""AtP*: GradDrop, with the QK fix for queries and keys."""

from __future__ import annotations

from scrub.proposals.attribute import Scores
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.methods.graddrop import METHOD as DROP
from scrub.proposals.methods.graddrop import dropped, shared
from scrub.proposals.methods.qkfix import fixed, fixed_kinds


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """`1/(L - 1) sum_l |estimate with layer l dropped|`."""
    keys = batch.space.places(fixed_kinds(asked.kinds))
    total = Scores()
    for values, gradients in dropped(batch, keys):
        for kind, some in fixed(batch, asked.kinds, values, gradients).items():
            total[kind] = some.abs() + total.get(kind, 0)
    return shared(total, batch)


METHOD = Method(
    "GradDrop, with the softmax recomputed for queries and keys",
    "AtP*, Kramar et al. 2024 (arXiv 2403.00745), eq. 6-12",
    nodes,
    inside=True,
    magnitude=True,
    caution=DROP.caution,
)
