"""Metrics of several tokens, and metrics of one's own with a gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import scrub
from scrub.claims.collect import collect
from scrub.claims.dataset import Dataset
from scrub.claims.metric import Metric, NamedMetric, parse_metric
from scrub.errors import ClaimError, MetricError
from scrub.metrics import Arguments, References, find
from scrub.score.metrics import apply, differentiable
from scrub.zoo import vocabulary

WORDS = vocabulary("names")
GALLERY = Path(__file__).parents[2] / "hypotheses"
ROWS = [((1, 3), (0,)), ((2,), (4, 0, 1)), ((0, 1, 2), (3, 4))]
DATA = Dataset.from_rows({"tokens": [0], "positions": {}, "columns": {"a": a, "b": b}} for a, b in ROWS)
LOGITS = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_hand(how: Any, logits: Any = LOGITS) -> Tensor:
    return torch.stack([how(row[list(a)]) - how(row[list(b)]) for row, (a, b) in zip(logits, ROWS, strict=True)])


@pytest.mark.parametrize(("text", "how"), [
    ("logit_diff(a, b)", lambda x: x.logsumexp(0)), ("logit_diff(mean(a), mean(b))", lambda x: x.mean()),
    ("logit_diff(max(a), max(b))", lambda x: x.amax()),
])  # fmt: skip
def test_several_tokens_are_one_number_as_the_claim_says(text: str, how: Any) -> None:
    """In all ways in which a metric is computed, with its gradient."""
    metric = parse_metric(text)
    assert isinstance(metric, NamedMetric)
    formula, arguments = find(metric), Arguments.of(metric, DATA, None, torch.device("cpu"))
    against, logits = arguments.at(torch.arange(3)), LOGITS.clone().requires_grad_()
    found = formula.on_logits(logits, against)
    assert torch.allclose(found, by_hand(how))
    assert torch.allclose(formula.on_few(LOGITS.gather(1, against.needed), against), found)
    (slope,), (wanted,) = (torch.autograd.grad(t.sum(), logits) for t in (found, by_hand(how, logits)))
    assert torch.allclose(slope, wanted)
    means = formula.constants(References(3, 2, against, lambda: iter(())))(LOGITS[:2])
    assert torch.allclose(means, torch.stack([by_hand(how, row.expand(3, 5)).mean() for row in LOGITS[:2]]))


def margin(logits: Tensor, row: Any) -> Tensor:
    return logits[row.columns["a"][0]] - logits[row.columns["b"][0]]


def test_a_metric_of_torch_is_the_same_number_with_a_gradient() -> None:
    metric, logits = Metric(margin, torch=True), LOGITS.clone().requires_grad_()
    found = differentiable(metric, logits, DATA.rows)
    assert np.allclose(found.detach(), apply(metric, LOGITS.numpy(), DATA.rows))
    (slope,) = torch.autograd.grad(found.sum(), logits)
    assert slope[0].tolist() == [-1, 1, 0, 0, 0]


@pytest.mark.parametrize(("function", "told"), [
    (lambda x, row: x, r"returned a tensor of shape \(5,\): let it return a tensor of one number"),
    (lambda x, row: 1.0, "returned 1.0: let it"),
    (lambda x, row: x.detach()[0], "has lost its gradient.*without .item"),
    (lambda x, row: x.nothing, "raised AttributeError"),
])  # fmt: skip
def test_a_metric_of_torch_without_a_gradient_is_told(function: Any, told: str) -> None:
    with pytest.raises(MetricError, match=told):
        differentiable(Metric(function, name="own", torch=True), LOGITS.clone().requires_grad_(), DATA.rows)


def names_margin(logits: Tensor, row: Any) -> Tensor:
    return logits[WORDS.index(row.columns["io"])] - logits[WORDS.index(row.columns["s1"])]


def test_proposals_follow_a_metric_of_ones_own(tmp_path: Path) -> None:
    """The same ranking as by the built-in metric that it repeats; a metric of numpy's is refused."""
    claim = next(h for h in collect([str(GALLERY / "names.py")]).hypotheses if not h.foil_reason)
    asked: dict[str, Any] = {"method": "eap", "rows": 8, "verify": 2, "draws": 0, "edges": False}
    own, named = (scrub.propose(claim.but(metric=m, predicts="io"), **asked) for m in (
        Metric(names_margin, torch=True), "logit_diff(io, s1)",
    ))  # fmt: skip
    scores = [{node.node: node.score for node in found.nodes} for found in (own, named)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-4, abs=1e-5)
    with pytest.raises(ClaimError, match="is a function, which a file of a claim cannot take over"):
        scrub.propose(claim.but(metric=Metric(names_margin, torch=True), predicts="io"), write=tmp_path / "c.py")
    with pytest.raises(MetricError, match="compute it by torch, Metric"):
        scrub.propose(claim.but(metric=Metric(names_margin), predicts="io"), **asked)
