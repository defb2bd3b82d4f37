"""How much more probable the first column's token is than the second's."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from scrub.metrics import Against, Constants, Formula, References

WORDS = {"columns": ("a", "b"), "better": "higher", "unit": "probability", "place": 3}


def value(logits: Float[Tensor, "n v"], against: Against) -> Float[Tensor, " n"]:
    first, second = against.taken(logits)
    total = logits.logsumexp(-1)
    return (first - total).exp() - (second - total).exp()


def constant(references: References) -> Constants:
    def means(logits: Float[Tensor, "c v"]) -> Float[Tensor, " c"]:
        first, second = references.against.of_each(logits.double().log_softmax(-1))
        return (first.exp() - second.exp()).mean(1)

    return means


FORMULA = Formula(value, constant=constant)
