"""The best answer that ignores its input: a claim that recovers less than it explains nothing.

Candidates: each pool row's own answer, the mean logits, the log of the mean probabilities and, for loss and
accuracy, the label frequencies. A metric of one's own is called for every candidate and reference row: where
that would be more than `OWN_CALLS`, fewer of the pool's answers are tried, spread evenly over the pool in the
order of row digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scrub.claims.content import alike
from scrub.claims.dataset import Row
from scrub.claims.metric import Metric
from scrub.claims.resolved import Claim
from scrub.errors import MetricError
from scrub.score.measure import Measured, OnGraph, numbers
from scrub.score.metrics import Numbers, apply

T = TypeVar("T")
AT_ONCE = 64
OWN_CALLS = 1_000_000


def best_constant(claim: Claim, measured: Measured, references: Int[np.ndarray, " reference"]) -> float | None:
    """The best mean metric of a constant answer over the reference rows; None when no candidate has one."""
    pool = claim.data.order.copy()
    if isinstance(claim.metric, Metric):
        scores = _own(claim, claim.metric, measured, pool, references)
    else:
        scores = _built_in(claim.metric.kind, measured, pool, references)
    scores = scores[np.isfinite(scores)]
    if not scores.size:
        return None
    return float(scores.min() if claim.metric.better == "lower" else scores.max())


def _own(
    claim: Claim,
    metric: Metric,
    measured: Measured,
    pool: Int[np.ndarray, " row"],
    references: Int[np.ndarray, " reference"],
) -> Numbers:
    most = max(OWN_CALLS // len(references), 2)
    if isinstance(measured, OnGraph):
        outputs = measured.rows.outputs(pool)
        distinct = list({alike(output): output for output in outputs}.values())
        candidates = [*_spread(distinct, most), *_mean(outputs)]
    else:
        candidates = _of_logits(measured, pool, most)
    rows = [claim.data.rows[row] for row in references]
    return np.array([_score(metric, candidate, rows) for candidate in candidates])


def _score(metric: Metric, candidate: Any, rows: list[Row]) -> float:
    """The mean metric of one answer; NaN where the metric cannot take it, as it may not take a mean answer."""
    try:
        return float(apply(metric, [candidate] * len(rows), rows).mean())
    except MetricError:
        return np.nan


def _of_logits(measured: Measured, pool: Int[np.ndarray, " row"], most: int) -> list[Any]:
    """Some of the pool's own logits, their mean over the pool, and the log of the mean probabilities."""
    own, means = list[Any](), _Means()
    tried = set(_spread(range(len(pool)), most))
    for start in range(0, len(pool), AT_ONCE):
        logits = measured.answers(pool[start : start + AT_ONCE])
        own += [numbers(row) for i, row in enumerate(logits, start) if i in tried]
        means.add(logits)
    return [*own, *map(numbers, means.answers())]


def _spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).astype(int).tolist()]


def _mean(outputs: list[Any]) -> list[Any]:
    """The mean answer, where answers can be added."""
    try:
        return [sum(outputs[1:], start=outputs[0]) / len(outputs)]
    except TypeError:
        return []


def _built_in(
    kind: str, measured: Measured, pool: Int[np.ndarray, " row"], references: Int[np.ndarray, " reference"]
) -> Numbers:
    with torch.no_grad():
        own = _Own(measured, references) if kind == "kl" else None
        found, means = list[Numbers](), _Means()
        for start in range(0, len(pool), AT_ONCE):
            logits = measured.answers(pool[start : start + AT_ONCE])
            found.append(_scores(kind, measured, references, logits, own))
            means.add(logits)
        more = means.answers()
        if kind in ("loss", "accuracy"):
            more.append(_label_frequencies(measured, references, len(more[0])))
        found.append(_scores(kind, measured, references, torch.stack(more), own))
    return np.concatenate(found)


class _Means:
    """Running sums of logits and of probabilities."""

    def __init__(self) -> None:
        self.rows = 0
        self.sums: Float[Tensor, "kind v"] | float = 0.0

    def add(self, logits: Float[Tensor, "n v"]) -> None:
        self.rows += len(logits)
        self.sums = self.sums + torch.stack([logits.double().sum(0), logits.double().softmax(-1).sum(0)])

    def answers(self) -> list[Float[Tensor, " v"]]:
        """The mean logits, and the log of the mean probabilities."""
        assert isinstance(self.sums, Tensor)
        logits, probabilities = self.sums / self.rows
        return [logits, probabilities.log()]


class _Own:
    """What `kl` needs of the model's own answers: their mean probabilities and mean negative entropy."""

    def __init__(self, measured: Measured, references: Int[np.ndarray, " reference"]) -> None:
        self.mean: Float[Tensor, " v"] | float = 0.0
        total = 0.0
        for start in range(0, len(references), AT_ONCE):
            log_p = measured.answers(references[start : start + AT_ONCE]).double().log_softmax(-1)
            p = log_p.exp()
            self.mean = self.mean + p.sum(0) / len(references)
            total += float(torch.where(p > 0, p * log_p, torch.zeros_like(p)).sum())
        self.negative_entropy = total / len(references)


def _scores(
    kind: str,
    measured: Measured,
    references: Int[np.ndarray, " reference"],
    logits: Float[Tensor, "c v"],
    own: _Own | None,
) -> Numbers:
    """The mean metric over the reference rows of each of several constant answers."""
    if own is not None:
        assert isinstance(own.mean, Tensor)
        log_q = logits.double().log_softmax(-1)
        cross = torch.where(own.mean > 0, own.mean * log_q, torch.zeros_like(log_q)).sum(-1)
        return (own.negative_entropy - cross).cpu().numpy()
    arguments, index = measured.arguments, torch.from_numpy(references).to(logits.device)
    if kind == "accuracy":
        best = logits.argmax(-1)[:, None, None]
        hit = (best == arguments.ids[0][index]) & arguments.there[0][index]
        return hit.any(-1).double().mean(1).cpu().numpy()
    values = logits.double() if kind == "logit_diff" else logits.double().log_softmax(-1)
    taken = [
        values[:, ids[index]].masked_fill(~there[index], -torch.inf).logsumexp(-1)  # [c, row]
        for ids, there in zip(arguments.ids, arguments.there, strict=True)
    ]
    if kind == "loss":
        return -taken[0].mean(1).cpu().numpy()
    score = taken[0] - taken[1] if kind == "logit_diff" else taken[0].exp() - taken[1].exp()
    return score.mean(1).cpu().numpy()


def _label_frequencies(
    measured: Measured, references: Int[np.ndarray, " reference"], width: int
) -> Float[Tensor, " v"]:
    """Log frequencies of the labels of the reference rows; a tuple of labels shares its row's count."""
    ids, there = measured.arguments.ids[0], measured.arguments.there[0]
    index = torch.from_numpy(references).to(ids.device)
    weight = there[index].double()
    counts = torch.zeros(width, dtype=torch.float64, device=ids.device)
    counts.scatter_add_(0, ids[index].flatten(), (weight / weight.sum(1, keepdim=True)).flatten())
    return (counts / counts.sum()).log()
