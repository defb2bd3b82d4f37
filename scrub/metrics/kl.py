"""The divergence of an answer's probabilities from the model's own, KL(own || answer): 0 where they are equal."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from scrub.metrics import Against, Constants, Formula, References

WORDS = {"columns": (), "better": "lower", "unit": "nats", "place": 5}


def value(logits: Float[Tensor, "n v"], against: Against) -> Float[Tensor, " n"]:
    assert against.own is not None
    p, q = against.own.log_softmax(-1), logits.log_softmax(-1)
    return torch.where(p.exp() > 0, p.exp() * (p - q), torch.zeros_like(p)).sum(-1)


def constant(references: References) -> Constants:
    """The model's mean probabilities and mean negative entropy are all that a mean over its rows needs."""
    mean: Float[Tensor, " v"] | float = 0.0
    total = 0.0
    for own in references.own():
        log_p = own.double().log_softmax(-1)
        p = log_p.exp()
        mean = mean + p.sum(0) / references.count
        total += float(torch.where(p > 0, p * log_p, torch.zeros_like(p)).sum())
    return _from_means(mean, total / references.count)


def _from_means(mean: Float[Tensor, " v"] | float, negative_entropy: float) -> Constants:
    assert isinstance(mean, Tensor)

    def means(logits: Float[Tensor, "c v"]) -> Float[Tensor, " c"]:
        log_q = logits.double().log_softmax(-1)
        cross = torch.where(mean > 0, mean * log_q, torch.zeros_like(log_q)).sum(-1)
        return negative_entropy - cross

    return means


FORMULA = Formula(value, constant=constant, own=True, flat=True)
