"""Swaps of what lies in a subspace of a component, between rows on which a variable differs; and their gradients."""

from __future__ import annotations

from collections.abc import Iterator

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

    def metric(self, basis: Float[np.ndarray, "k d"]) -> Numbers:
        """The metric of every swap of what lies in the span of orthonormal rows."""
        model = self.swapped.model
        code = Projection(torch.from_numpy(np.ascontiguousarray(basis)).to(model.device, model.dtype))
        with torch.no_grad():
            found = [self._score(code, part) for part in self._parts()]
        return torch.cat(found).double().cpu().numpy()

    def differences(self) -> Float[np.ndarray, "call d"]:
        """What the component writes on donors, minus what it writes on the rows."""
        index = [torch.from_numpy(some).to(self.swapped.model.device) for some in (self.donors, self.rows)]
        store, kind, slot = self.swapped.store, self.swapped.component.array, self.swapped.slot
        new, old = (store.at(kind, slot, some) for some in index)
        return (new - old).double().cpu().numpy()

    def gradients(self) -> Float[np.ndarray, "point d"]:
        """The metric's gradient at what the component writes, at midpoints of the line from each row to its donor."""
        with torch.inference_mode(mode=False), torch.enable_grad():
            found = [self._slope(part, (k + 0.5) / STEPS) for part in self._parts() for k in range(STEPS)]
        return torch.cat(found).double().cpu().numpy()

    def _slope(self, part: slice, share: float) -> Float[Tensor, "call d"]:
        model, width = self.swapped.model, self.differences().shape[1]
        size = len(self.rows[part]), width
        more = torch.zeros(size, device=model.device, dtype=model.dtype, requires_grad=True)
        return torch.autograd.grad(self._score(PathCode(more, share), part).sum(), more)[0]

    def _parts(self) -> Iterator[slice]:
        return (slice(start, start + TOGETHER) for start in range(0, len(self.rows), TOGETHER))

    def _score(self, code: PartCode, part: slice) -> Float[Tensor, " call"]:
        rows, measure = self.rows[part], self.measure
        logits = self.swapped.run(rows, self.donors[part], code)
        if isinstance(measure.metric, Metric):
            return differentiable(measure.metric, logits, [measure.data.rows[row] for row in rows])
        formula, index = find(measure.metric), torch.from_numpy(rows).to(logits.device)
        with torch.no_grad():
            own = self.swapped.run(rows, rows, code) if formula.own else None
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
