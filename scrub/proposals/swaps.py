"""Swaps of what lies in subspaces of components, between rows on which a variable differs; and their gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.claims.metric import Metric
from scrub.errors import ClaimError, MetricError
from scrub.metrics import check_width, find
from scrub.model.codes import PartCode
from scrub.score.das import Projection, SwapModel
from scrub.score.measure import MetricOnData
from scrub.score.metrics import differentiable

STEPS, TOGETHER = 5, 64  # points of a path; swaps that are run at once
Numbers = Float[np.ndarray, " call"]
Vectors = list[Float[np.ndarray, "call d"]]


@frozen(eq=False)
class PathCode:
    """A code at a share of the way to a donor's vector, with a change `more` of it whose gradient is asked for."""

    rows: Float[Tensor, "call d"]
    share: float

    def encode(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return x

    def write(self, numbers: Float[Tensor, "call d"]) -> Float[Tensor, "call d"]:
        return self.share * numbers + self.rows


@frozen(eq=False)
class VariableSwaps:
    """Rows, each with a donor on which a variable differs."""

    swapped: SwapModel
    measure: MetricOnData
    rows: Int[np.ndarray, " call"]
    donors: Int[np.ndarray, " call"]

    def metric(self, bases: Sequence[Float[np.ndarray, "k d"]]) -> Numbers:
        """The metric of every swap of what lies in spans of orthonormal rows, one for each place, all at once."""
        model = self.swapped.model
        rows = (torch.from_numpy(np.ascontiguousarray(basis)) for basis in bases)
        codes = [Projection(some.to(model.device, model.dtype)) for some in rows]
        with torch.no_grad():
            found = [self._score(codes, part) for part in self._parts()]
        return torch.cat(found).double().cpu().numpy()

    def differences(self) -> Vectors:
        """What is written on donors, minus what is written on the rows, in each place."""
        index = [torch.from_numpy(some).to(self.swapped.model.device) for some in (self.donors, self.rows)]
        read = self.swapped.store.at
        found = [[read(c.array, slot, some) for some in index] for c, slot in self.swapped.places]
        return [(new - old).double().cpu().numpy() for new, old in found]

    def gradients(self) -> Vectors:
        """The metric's gradient at what is written in each place, at midpoints of the line from rows to donors.

        All places are on their way at once.
        """
        with torch.inference_mode(mode=False), torch.enable_grad():
            found = [self._slopes(part, (k + 0.5) / STEPS) for part in self._parts() for k in range(STEPS)]
        return [torch.cat(some).double().cpu().numpy() for some in zip(*found, strict=True)]

    def _slopes(self, part: slice, share: float) -> tuple[Float[Tensor, "call d"], ...]:
        model, read = self.swapped.model, self.swapped.store.arrays
        sizes = [(len(self.rows[part]), read[c.array].shape[-1]) for c, _ in self.swapped.places]
        more = [torch.zeros(s, device=model.device, dtype=model.dtype, requires_grad=True) for s in sizes]
        return torch.autograd.grad(self._score([PathCode(m, share) for m in more], part).sum(), more)

    def _parts(self) -> Iterator[slice]:
        return (slice(start, start + TOGETHER) for start in range(0, len(self.rows), TOGETHER))

    def _score(self, codes: Sequence[PartCode], part: slice) -> Float[Tensor, " call"]:
        rows, measure = self.rows[part], self.measure
        logits = self.swapped.run(rows, self.donors[part], codes)
        if isinstance(measure.metric, Metric):
            return differentiable(measure.metric, logits, [measure.data.rows[row] for row in rows])
        formula, index = find(measure.metric), torch.from_numpy(rows).to(logits.device)
        with torch.no_grad():
            own = self.swapped.run(rows, rows, codes) if formula.own else None
        return formula.on_logits(logits, measure.arguments.at(index, own))


@frozen(eq=False)
class DonorDraws:
    """How donors are drawn: so many for each row, of another of a variable's `classes` (of every row of the pool)."""

    classes: Int[np.ndarray, " pool"]
    draws: int
    seed: int


def drawn(
    swapped: SwapModel,
    measure: MetricOnData,
    rows: Int[np.ndarray, " row"],
    how: DonorDraws,
    rng: np.random.Generator,
) -> VariableSwaps:
    """Donors for each of some rows, among these and of its stratum.

    Raises ClaimError where the variable is the same on all rows of every stratum.
    """
    stratum, found = swapped.claim.stratum, list[tuple[int, int]]()
    for row in np.sort(rows):
        others = np.sort(rows[(how.classes[rows] != how.classes[row]) & (stratum[rows] == stratum[row])])
        found += [(int(row), int(donor)) for donor in (rng.choice(others, how.draws) if others.size else ())]
    if not found:
        raise ClaimError(
            "the variable is the same on all rows that are seen: nothing tells what it takes to hold it."
        )
    row, donor = np.array(found).T
    return VariableSwaps(swapped, measure, row, donor)


def usable(measure: MetricOnData, d_vocab: int) -> None:
    """Raises MetricError for a metric whose derivative cannot be followed, or whose columns do not fit the model."""
    metric = measure.metric
    if not (metric.torch if isinstance(metric, Metric) else find(metric).gradient):
        raise MetricError(
            f"metric {metric} has no derivative that can be followed, by which directions are ordered: use "
            "logit_diff, prob_diff, loss or kl, or Metric(fn, torch=True)."
        )
    if not isinstance(metric, Metric):
        check_width(measure.arguments, metric, d_vocab)
