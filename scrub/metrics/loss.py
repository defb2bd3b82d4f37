"""Minus the log of the label's probability."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from scrub.metrics import Against, Constants, Formula, References

WORDS = {
    "columns": ("label",),
    "better": "lower",
    "unit": "nats",
    "place": 1,
    # a confident model's loss is ruled by how sure it is: the answer that is least sure of anything wrong comes close
    "instead": "logit_diff(right, wrong), or accuracy",
}


def value(logits: Float[Tensor, "n v"], against: Against) -> Float[Tensor, " n"]:
    (label,) = against.taken(logits)
    return logits.logsumexp(-1) - label


def constant(references: References) -> Constants:
    def means(logits: Float[Tensor, "c v"]) -> Float[Tensor, " c"]:
        return -references.against.of_each(logits.double().log_softmax(-1))[0].mean(1)

    return means


FORMULA = Formula(value, constant=constant, labels=True)
