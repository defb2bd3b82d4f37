"""How many dimensions of a component hold a variable: the smallest subspace that does what all of it does.

The component takes what lies in a subspace from a row on which the variable differs, all downstream recomputed; the
metric should change as it does when all of the component is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from attrs import field, frozen
from jaxtyping import Float, Int

from scrub.anatomy.names import Component
from scrub.anatomy.tolerances import DIRECTION_READ
from scrub.claims.basis import Basis
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError
from scrub.proposals.swaps import DonorDraws, VariableSwaps, drawn
from scrub.score.das import SwapModel
from scrub.score.measure import MetricOnData
from scrub.shown import shown

ALL, FIRST, FURTHER = (
    64,
    16,
    1.25,
)  # widths up to which all ranks are measured; else those up to 16, then each times it


@frozen
class RankPoint:
    """What the first `rank` directions do.

    `recovered` is the mean change of the metric as a share of that by the whole component, `explained` is 1 less the
    mean |difference of the two changes| over the mean |change by the whole|.
    """

    rank: int
    recovered: float
    explained: float


@frozen
class RowsUsed:
    """On how many rows directions were ordered, and by how many swaps of how many others they were measured."""

    ordered: int
    measured: int
    swaps: int


@frozen(eq=False)
class RankCurve:
    """How much of what a component does for a variable its first directions do, and the smallest rank that keeps it.

    `ends` are the metric on the rows themselves, and with all of the component taken from rows on which the variable
    differs; `basis` has the directions that are kept.
    """

    hypothesis: str
    variable: str
    component: Component
    at: str
    metric: str
    seed: int
    worth: float
    points: tuple[RankPoint, ...]
    ends: tuple[float, float]
    used: RowsUsed
    basis: Basis = field(repr=False)
    digest: str = ""

    @property
    def width(self) -> int:
        """How many numbers the component writes."""
        return self.points[-1].rank

    @property
    def rank(self) -> int:
        """The smallest from which on no measured rank loses, or adds, `worth` or more."""
        return smallest(self.points, self.worth)

    def to_dict(self) -> dict[str, Any]:
        """Its numbers, with the component by name; the basis without its array."""
        told = {"component": str(self.component), "width": self.width, "rank": self.rank}
        told |= {"own": self.ends[0], "whole": self.ends[1]}
        basis = {"basis": self.basis.to_dict(), "provenance": dict(self.basis.provenance)}
        return {**as_dict(self, "component", "basis", "ends"), **told, **basis}

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


@frozen(eq=False)
class RankSearch:
    """Swaps of rows that order directions, and of others that measure them."""

    fitted: VariableSwaps
    asked: VariableSwaps
    halves: tuple[Int[np.ndarray, " row"], Int[np.ndarray, " row"]]

    @classmethod
    def of(
        cls, swapped: SwapModel, measure: MetricOnData, rows: Int[np.ndarray, " row"], how: DonorDraws
    ) -> RankSearch:
        """Raises ClaimError where the variable is the same on all rows of a half."""
        rng = np.random.default_rng([how.seed, len(rows), 0x8A4])
        used = rng.permutation(np.sort(rows))
        halves = used[: len(used) // 2], used[len(used) // 2 :]
        fitted, asked = (drawn(swapped, measure, half, how, rng) for half in halves)
        return cls(fitted, asked, halves)

    @property
    def used(self) -> RowsUsed:
        return RowsUsed(len(self.halves[0]), len(self.halves[1]), len(self.asked.rows))

    def run(self, worth: float, done: Callable[[int], None]) -> tuple[np.ndarray, tuple[RankPoint, ...], np.ndarray]:
        """Directions in their order, what the first of them do, and the metric without and with all of them.

        Of many ranks some are measured, and all around the smallest that keeps it. Raises ClaimError where taking all
        of the component does not change the metric.
        """
        directions = ordered(self.fitted.differences(), self.fitted.gradients())
        ends = np.stack([self.asked.metric(directions[:k]) for k in (0, len(directions))])
        self._moved(ends)
        found = {k: self._point(directions[:k], ends, done) for k in grid(len(directions))}
        while (kept := smallest(found.values(), worth)) - (below := _below(found, kept)) > 1:
            middle = (below + kept) // 2
            found[middle] = self._point(directions[:middle], ends, done)
        return directions, tuple(found[k] for k in sorted(found)), ends.mean(1)

    def _point(
        self, basis: Float[np.ndarray, "k d"], ends: Float[np.ndarray, "two call"], done: Callable[[int], None]
    ) -> RankPoint:
        change, moved = self.asked.metric(basis) - ends[0], ends[1] - ends[0]
        done(1)
        apart = float(np.abs(change - moved).mean() / np.abs(moved).mean())
        return RankPoint(len(basis), float(change.mean() / moved.mean()), 1 - apart)

    def _moved(self, ends: Float[np.ndarray, "two call"]) -> None:
        moved, rows = ends[1] - ends[0], len(set(self.asked.rows.tolist()))
        if abs(moved.mean()) <= 2 * moved.std() / np.sqrt(rows):
            swapped, metric = self.asked.swapped, self.asked.measure.metric
            raise ClaimError(
                f"taking all of {swapped.component.whole} @ {swapped.slot} from rows on which the variable differs "
                f"moves {metric} by {moved.mean():.2g} on the mean, which is nothing to keep: name another place."
            )


def ordered(
    differences: Float[np.ndarray, "call d"], gradients: Float[np.ndarray, "point d"]
) -> Float[np.ndarray, "d d"]:
    """Orthonormal rows, of which the first k keep most of the first-order change, for every k.

    The principal directions of what rows differ by, in the metric of the gradient: of all that k directions leave out
    of a difference, the mean of `(gradient . left out)^2` is least, the two taken as independent. These are the
    balanced directions of Moore 1981 (IEEE TAC 26, section IV), made orthonormal in their order. What no gradient
    reads comes last, by its variance.
    """
    values, vectors = np.linalg.eigh(differences.T @ differences / len(differences))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    shares, turned = np.linalg.eigh(root.T @ (gradients.T @ gradients / len(gradients)) @ root)
    live = shares > DIRECTION_READ * max(shares.max(), np.finfo(float).tiny)
    first = np.linalg.qr((root @ turned)[:, live][:, ::-1])[0]
    rest, size, _ = np.linalg.svd(root - first @ (first.T @ root))
    further = rest[:, size > np.sqrt(DIRECTION_READ * values.max())]
    return np.linalg.qr(np.concatenate([first, further], axis=1), mode="complete")[0].T


def grid(width: int) -> list[int]:
    """The ranks that are measured first, 0 and all of them among these."""
    found = list(range(min(width, ALL if width <= ALL else FIRST) + 1))
    while found[-1] < width:
        found.append(min(width, int(found[-1] * FURTHER)))
    return found


def smallest(points: Iterable[RankPoint], worth: float) -> int:
    """The smallest rank from which on none that was measured loses, or adds, `worth` or more."""
    found = 0
    for point in sorted(points, key=lambda one: -one.rank):
        if abs(1 - point.recovered) >= worth:
            break
        found = point.rank
    return found


def _below(found: Mapping[int, RankPoint], kept: int) -> int:
    """The largest measured rank below one."""
    return max(k for k in found if k < kept)
