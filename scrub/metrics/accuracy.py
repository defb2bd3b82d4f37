"""Whether the largest of all logits is the label's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from scrub.metrics import Against, Constants, Formula, References

WORDS = {"columns": ("label",), "better": "higher", "unit": "share of rows", "place": 4}


def value(logits: Float[Tensor, "n v"], against: Against) -> Float[Tensor, " n"]:
    hit = logits.argmax(-1, keepdim=True) == against.ids[0]
    right = (hit & against.there[0]).any(-1).to(logits.dtype)
    return right.masked_fill(logits.isnan().any(-1), torch.nan)  # argmax would take NaN for the largest


def constant(references: References) -> Constants:
    ids, there = references.against.ids[0], references.against.there[0]

    def means(logits: Float[Tensor, "c v"]) -> Float[Tensor, " c"]:
        hit = (logits.argmax(-1)[:, None, None] == ids) & there
        return hit.any(-1).double().mean(1)

    return means


FORMULA = Formula(value, constant=constant, labels=True, gradient=False)
