"""The best answer that ignores its input: a claim that recovers less than it explains nothing.

Candidates: each pool row's own answer, the mean logits, the log of the mean probabilities and, for metrics whose
formula says so, the label frequencies. A metric of one's own is called for every candidate and reference row: where
that would be more than `OWN_CALLS`, fewer of the pool's answers are tried, spread evenly over the pool in the
order of row digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.claims.content import alike
from scrub.claims.dataset import Row
from scrub.claims.metric import Metric
from scrub.claims.resolved import Claim
from scrub.errors import MetricError
from scrub.metrics import Against, Formula, References, find
from scrub.score.measure import GraphAnswers, Measured, numbers
from scrub.score.metrics import Numbers, apply

OWN_CALLS = 1_000_000


@frozen
class Constant:
    """A constant answer: its mean metric, and whose answer it is, that of a `row` or what the pool's come to."""

    value: float
    row: int | None = None


def best_constant(claim: Claim, measured: Measured, references: Int[np.ndarray, " reference"]) -> Constant | None:
    """The constant answer with the best mean metric over the reference rows; None when no candidate has one."""
    pool = claim.data.order.copy()
    if isinstance(claim.metric, Metric):
        scores, rows = _own(claim, claim.metric, measured, pool, references)
    else:
        scores, rows = _built_in(find(claim.metric), measured, pool, references), pool.tolist()
    worst = np.inf if claim.metric.better == "lower" else -np.inf
    found = np.where(np.isfinite(scores), scores, worst)
    if not np.isfinite(found).any():
        return None
    best = int(found.argmin() if claim.metric.better == "lower" else found.argmax())
    return Constant(float(found[best]), rows[best] if best < len(rows) else None)


def _own(
    claim: Claim,
    metric: Metric,
    measured: Measured,
    pool: Int[np.ndarray, " row"],
    references: Int[np.ndarray, " reference"],
) -> tuple[Numbers, list[int]]:
    """The mean metric of every candidate, those of single rows first, and the rows that they are of."""
    most = max(OWN_CALLS // len(references), 2)
    if isinstance(measured, GraphAnswers):
        outputs = measured.rows.outputs(pool)
        distinct = {alike(output): i for i, output in reversed([*enumerate(outputs)])}  # the first row of each
        tried = _spread(sorted(distinct.values()), most)
        candidates = [*(outputs[i] for i in tried), *_mean(outputs)]
    else:
        tried = _spread(range(len(pool)), most)
        candidates = _of_logits(measured, pool, tried)
    rows = [claim.data.rows[row] for row in references]
    return np.array([_score(metric, candidate, rows) for candidate in candidates]), pool[tried].tolist()


def _score(metric: Metric, candidate: Any, rows: list[Row]) -> float:
    """The mean metric of one answer; NaN where the metric cannot take it, as it may not take a mean answer."""
    try:
        return float(apply(metric, [candidate] * len(rows), rows).mean())
    except MetricError:
        return np.nan


def _of_logits(measured: Measured, pool: Int[np.ndarray, " row"], tried: Sequence[int]) -> list[Any]:
    """Some of the pool's own logits, their mean over the pool, and the log of the mean probabilities."""
    own, means, chosen = list[Any](), _Means(), {*tried}
    for start in range(0, len(pool), measured.together):
        logits = measured.answers(pool[start : start + measured.together])
        own += [numbers(row) for i, row in enumerate(logits, start) if i in chosen]
        means.add(logits)
    return [*own, *map(numbers, means.answers())]


def _spread(items: Sequence[int], most: int) -> list[int]:
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
    formula: Formula, measured: Measured, pool: Int[np.ndarray, " row"], references: Int[np.ndarray, " reference"]
) -> Numbers:
    with torch.no_grad():
        against = _against(measured, references)
        scores = formula.constants(against)
        found, means = list[Tensor](), _Means()
        for start in range(0, len(pool), measured.together):
            logits = measured.answers(pool[start : start + measured.together])
            found.append(scores(logits))
            means.add(logits)
        more = means.answers()
        if formula.labels:
            more.append(_label_frequencies(against.against, len(more[0])))
        found.append(scores(torch.stack(more)))
    return np.concatenate([part.cpu().numpy() for part in found])


def _against(measured: Measured, references: Int[np.ndarray, " reference"]) -> References:
    size = measured.together
    parts = [references[start : start + size] for start in range(0, len(references), size)]
    arguments, index = measured.arguments, torch.from_numpy(references)
    device = arguments.ids[0].device if arguments.ids else index.device
    return References(len(references), size, arguments.at(index.to(device)), lambda: map(measured.answers, parts))


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


def _label_frequencies(against: Against, width: int) -> Float[Tensor, " v"]:
    """Log frequencies of the labels of the reference rows; a tuple of labels shares its row's count."""
    ids, weight = against.ids[0], against.there[0].double()
    counts = torch.zeros(width, dtype=torch.float64, device=ids.device)
    counts.scatter_add_(0, ids.flatten(), (weight / weight.sum(1, keepdim=True)).flatten())
    return (counts / counts.sum()).log()
