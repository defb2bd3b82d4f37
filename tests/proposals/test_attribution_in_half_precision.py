"""Estimates of models whose matrices are in half precision, against fp32 on the same weights."""

from __future__ import annotations

import pytest
import torch
from exact_nodes import batch_of, model_of, scores
from torch import Tensor

from scrub.model.weights import Transformer
from scrub.proposals.edges import Edges
from scrub.proposals.methods import Asked, find, names

ROUNDED = 0.15  # share of the estimates: two layers there and back, by eight bits each time (0.09 at most)


def pair() -> tuple[Transformer, Transformer]:
    half = model_of("llama", layers=2).to(torch.bfloat16)
    return half, half.to(torch.float32)


def only_rounds(found: Tensor, wanted: Tensor) -> bool:
    assert found.dtype == torch.float32
    return bool(0 < (found - wanted).norm() <= ROUNDED * wanted.norm())


@pytest.mark.parametrize("method", names())
def test_estimates_round(method: str) -> None:
    found, wanted = (scores(batch_of(model, each=True), method, steps=2) for model in pair())
    assert only_rounds(*(torch.cat([some[kind].flatten() for kind in wanted]) for some in (found, wanted)))


@pytest.mark.parametrize("method", [name for name in names() if find(name).edges])
def test_estimates_of_edges_round(method: str) -> None:
    made, asked = find(method).edges, Asked((), find(method).rules, steps=2)
    assert made is not None
    found, wanted = (made(batch_of(model), asked) for model in pair())
    assert isinstance(found, Edges)
    assert isinstance(wanted, Edges)
    assert only_rounds(found.scores, wanted.scores)
