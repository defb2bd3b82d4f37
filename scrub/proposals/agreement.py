"""How far estimates agree with exact effects, on live nodes alone, and what finding the largest effects cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Float, Int

from scrub.anatomy.tolerances import LIVE, NO_EFFECT
from scrub.claims.plain import as_dict

LARGE, SMALL = 0.1, 0.01  # a false negative: truly above the first share of the largest, estimated below the second

Numbers = Float[np.ndarray, " node"]


@frozen
class Agreement:
    """Over live nodes: correlations, the share of equal signs, the slope of estimates on effects, and misses.

    `slope` is that of the least-squares line through 0: below 1, estimates are too small. `false_negatives` counts
    nodes whose effect is above a tenth of the largest and whose estimate is below a hundredth of the largest
    estimate. None where two live nodes or a spread are lacking.
    """

    nodes: int
    live: int
    pearson: float | None
    spearman: float | None
    sign: float | None
    slope: float | None
    false_negatives: int

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)


def over_rows(values: Float[np.ndarray, "row ..."], absolute: bool) -> np.ndarray:
    """Estimates or effects of rows as one number for each node; `absolute` takes absolute values first."""
    return (np.abs(values) if absolute else values).mean(0)


def agreement(estimates: Numbers, exact: Numbers) -> Agreement:
    """How estimates agree with the exact effects of the same nodes."""
    from scipy.stats import rankdata

    size = np.abs(exact)
    most = float(size.max(initial=0.0))
    live = size > LIVE * most
    x, y = estimates[live], exact[live]
    strongest = float(np.abs(estimates).max(initial=0.0))
    missed = (size > LARGE * most) & (np.abs(estimates) < SMALL * strongest) if strongest else size > LARGE * most
    return Agreement(
        len(exact), int(live.sum()), pearson(x, y), pearson(rankdata(_rounded(x)), rankdata(_rounded(y))),
        float((np.sign(x) == np.sign(y)).mean()) if len(x) else None,
        float((x @ y) / (y @ y)) if len(x) else None, int(missed.sum()),
    )  # fmt: skip


def pearson(x: Numbers, y: Numbers) -> float | None:
    """The correlation; None below two nodes, or where either has no spread."""
    if len(x) < 2:
        return None
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    return float(np.clip((x @ y) / spread, -1, 1)) if spread > 0 else None


def _rounded(x: Numbers) -> Numbers:
    return np.where(np.abs(x) < NO_EFFECT * np.abs(x).max(initial=0.0), 0.0, x)


def recall_costs(order: Int[np.ndarray, " node"], exact: Numbers, most: int) -> list[tuple[int, int]]:
    """(k, patches): how many nodes must be patched in this order until the k largest effects are among them.

    `exact` holds the effects of the same nodes; effects of 0 are no target.
    """
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(1, len(order) + 1)
    largest = np.argsort(-np.abs(exact), kind="stable")
    largest = largest[np.abs(exact[largest]) > 0][:most]
    costs = np.maximum.accumulate(place[largest]) if len(largest) else place[:0]
    return [(k + 1, int(cost)) for k, cost in enumerate(costs)]


def overhead(costs: list[tuple[int, int]]) -> float | None:
    """The mean of cost/k, weighted by 1/k and geometric: 1 where the order is that of the effects."""
    if not costs:
        return None
    k, patches = np.array(costs, dtype=np.float64).T
    return float(np.exp(np.average(np.log(patches / k), weights=1 / k)))
