"""AtP*: GradDrop, with the QK fix for queries and keys."""

from __future__ import annotations

from scrub.proposals.attribute import Scores, first_order, keys_of
from scrub.proposals.forward import Batch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.methods.graddrop import METHOD as DROP
from scrub.proposals.methods.graddrop import dropped, shared
from scrub.proposals.methods.qkfix import changes_of, fixed_kinds, through_softmax


def nodes(batch: Batch, asked: Asked) -> Scores:
    """`1/(L - 1) sum_l |estimate with layer l dropped|`; patterns change once, gradients with every drop."""
    keys = keys_of(fixed_kinds(asked.kinds), batch.model.shape)
    changes, total = None, Scores()
    others = [kind for kind in asked.kinds if kind not in ("q", "k")]
    for values, gradients in dropped(batch, keys):
        changes = changes_of(batch, values) if changes is None else changes
        found = first_order(batch, others, values, gradients)
        found |= through_softmax(batch, asked.kinds, values, gradients, changes)
        for kind, some in found.items():
            total[kind] = some.abs() + total.get(kind, 0)
    return shared(total, batch.model.shape.n_layers)


METHOD = Method(
    "GradDrop, with the softmax recomputed for queries and keys",
    "AtP*, Kramar et al. 2024 (arXiv 2403.00745), eq. 6-12",
    nodes,
    inside=True,
    magnitude=True,
    caution=DROP.caution,
)
