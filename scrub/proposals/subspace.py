"""How many dimensions of components hold a variable: the smallest subspaces that do what all of them does.

The components take, all at once, what lies in a subspace of each from a row on which the variable differs, all
downstream recomputed; the metric should change as it does when all of the components is taken. Of several components
the directions of all are ordered together, by how much of the change each is worth to first order: so one number,
of directions in all, says how many of each, and one that is not needed has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Any

import numpy as np
from attrs import field, frozen
from jaxtyping import Float, Int

from scrub.anatomy.names import Component
from scrub.anatomy.tolerances import DIRECTION_READ
from scrub.claims.basis import Basis
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError
from scrub.proposals.swaps import DonorDraws, Numbers, VariableSwaps, drawn
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
    """What the first `rank` directions do, which are so many of each component: `ranks`.

    `recovered` is the mean change of the metric as a share of that by the whole components, `explained` is 1 less the
    mean |difference of the two changes| over the mean |change by the whole|.
    """

    rank: int
    recovered: float
    explained: float
    ranks: tuple[int, ...]


@frozen
class RowsUsed:
    """On how many rows directions were ordered, and by how many swaps of how many others they were measured."""

    ordered: int
    measured: int
    swaps: int


@frozen(eq=False)
class HeldPlace:
    """A component at a position, which writes `width` numbers: the directions of it that are kept, None of none."""

    component: Component
    at: str
    width: int
    basis: Basis | None = field(default=None, repr=False)

    @property
    def rank(self) -> int:
        return self.basis.rank if self.basis is not None else 0

    def to_dict(self) -> dict[str, Any]:
        told = {"component": str(self.component), "at": self.at, "width": self.width, "rank": self.rank}
        return {**told, "basis": self.basis and self.basis.to_dict()}


@frozen(eq=False)
class RankCurve:
    """How much of what components do for a variable their first directions do, and the smallest rank that keeps it.

    `ends` are the metric on the rows themselves, and with all of the components taken from rows on which the variable
    differs; `places` have the directions that are kept.
    """

    hypothesis: str
    variable: str
    places: tuple[HeldPlace, ...]
    metric: str
    seed: int
    worth: float
    points: tuple[RankPoint, ...]
    ends: tuple[float, float]
    used: RowsUsed
    digest: str = ""

    @property
    def width(self) -> int:
        """How many numbers the components write."""
        return self.points[-1].rank

    @property
    def kept(self) -> RankPoint:
        """The smallest from which on no measured rank loses, or adds, `worth` or more."""
        return smallest(self.points, self.worth)

    @property
    def rank(self) -> int:
        return self.kept.rank

    @property
    def bases(self) -> tuple[Basis, ...]:
        """The directions that are kept, of each component that holds any."""
        return tuple(place.basis for place in self.places if place.basis is not None)

    @property
    def basis(self) -> Basis:
        """Those of one component. Raises ClaimError where several hold some: `bases` has them."""
        if len(self.bases) != 1:
            raise ClaimError(f"{len(self.bases)} components hold {self.variable!r}: take .bases, one for each.")
        return self.bases[0]

    def to_dict(self) -> dict[str, Any]:
        """Its numbers, with components by name; bases without their arrays."""
        names = {str(place.component): None for place in self.places}, {place.at: None for place in self.places}
        told = {"component": " ".join(names[0]), "at": " ".join(names[1]), "width": self.width, "rank": self.rank}
        told |= {"own": self.ends[0], "whole": self.ends[1], "places": [place.to_dict() for place in self.places]}
        one = {"basis": self.basis.to_dict()} if len(self.places) == 1 else {}
        return {**as_dict(self, "places", "ends"), **told, **one, "provenance": dict(self.bases[0].provenance)}

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


@frozen(eq=False)
class JointOrder:
    """Orthonormal rows of each place in their order; of which place the directions of all are, in theirs."""

    rows: tuple[Float[np.ndarray, "d d"], ...]
    of: Int[np.ndarray, " direction"]

    @classmethod
    def of_swaps(cls, swaps: VariableSwaps) -> JointOrder:
        found = [ordered(*some) for some in zip(swaps.differences(), swaps.gradients(), strict=True)]
        places = np.concatenate([np.full(len(one.rows), number) for number, one in enumerate(found)])
        worth = np.concatenate([one.worth for one in found])
        return cls(tuple(one.rows for one in found), places[np.lexsort((-worth[:, 1], -worth[:, 0]))])

    @property
    def width(self) -> int:
        return len(self.of)

    def ranks(self, rank: int) -> tuple[int, ...]:
        """How many of each place the first directions of all are."""
        return tuple(np.bincount(self.of[:rank], minlength=len(self.rows)).tolist())

    def first(self, rank: int) -> list[Float[np.ndarray, "k d"]]:
        return [rows[:own] for rows, own in zip(self.rows, self.ranks(rank), strict=True)]


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

    def run(
        self, worth: float, done: Callable[[int], None]
    ) -> tuple[JointOrder, tuple[RankPoint, ...], Float[np.ndarray, " two"]]:
        """Directions in their order, what the first of them do, and the metric without and with all of them.

        Of many ranks some are measured, and all around the smallest that keeps it. Raises ClaimError where taking all
        of the components does not change the metric.
        """
        order = JointOrder.of_swaps(self.fitted)
        ends = np.stack([self.asked.metric(order.first(k)) for k in (0, order.width)])
        self._moved(ends)

        def point(rank: int) -> RankPoint:
            done(1)
            shares = _shares(self.asked.metric(order.first(rank)) - ends[0], ends[1] - ends[0])
            return RankPoint(rank, *shares, order.ranks(rank))

        found = {k: point(k) for k in grid(order.width)}
        while (kept := smallest(found.values(), worth).rank) - (below := _below(found, kept)) > 1:
            middle = (below + kept) // 2
            found[middle] = point(middle)
        return order, tuple(found[k] for k in sorted(found)), ends.mean(1)

    def _moved(self, ends: Float[np.ndarray, "two call"]) -> None:
        moved, rows = ends[1] - ends[0], len(set(self.asked.rows.tolist()))
        if abs(moved.mean()) <= 2 * moved.std() / np.sqrt(rows):
            places = ", ".join(f"{c.whole} @ {slot}" for c, slot in self.asked.swapped.places)
            raise ClaimError(
                f"taking all of {places} from rows on which the variable differs moves {self.asked.measure.metric} "
                f"by {moved.mean():.2g} on the mean, which is nothing to keep: name another place."
            )


def _shares(change: Numbers, moved: Numbers) -> tuple[float, float]:
    """What is recovered of a change, and what is explained of it."""
    apart = float(np.abs(change - moved).mean() / np.abs(moved).mean())
    return float(change.mean() / moved.mean()), 1 - apart


@frozen(eq=False)
class DirectionOrder:
    """Orthonormal rows in their order; `worth` falls along them: of what is read [2], of the variance [1], 0 [0]."""

    rows: Float[np.ndarray, "d d"]
    worth: Float[np.ndarray, "d two"]


def ordered(differences: Float[np.ndarray, "call d"], gradients: Float[np.ndarray, "point d"]) -> DirectionOrder:
    """Directions of which the first k keep most of the first-order change, for every k.

    The principal directions of what rows differ by, in the metric of the gradient: of all that k directions leave out
    of a difference, the mean of `(gradient . left out)^2` is least, the two taken as independent. These are the
    balanced directions of Moore 1981 (IEEE TAC 26, section IV), made orthonormal in their order; what one of them is
    worth is its share of that mean. What no gradient reads comes last, by its variance.
    """
    values, vectors = np.linalg.eigh(differences.T @ differences / len(differences))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    shares, turned = np.linalg.eigh(root.T @ (gradients.T @ gradients / len(gradients)) @ root)
    live = shares > DIRECTION_READ * max(shares.max(), np.finfo(float).tiny)
    first = np.linalg.qr((root @ turned)[:, live][:, ::-1])[0]
    rest, size, _ = np.linalg.svd(root - first @ (first.T @ root))
    wide = size > np.sqrt(DIRECTION_READ * values.max())
    rows = np.linalg.qr(np.concatenate([first, rest[:, wide]], axis=1), mode="complete")[0].T
    worth = np.zeros((len(rows), 2))
    for tier, known in ((2, shares[live][::-1]), (1, size[wide] ** 2)):
        begin = 0 if tier == 2 else int(live.sum())
        worth[begin : begin + len(known)] = np.stack([np.full(len(known), tier), known], axis=1)
    return DirectionOrder(rows, worth)


def grid(width: int) -> list[int]:
    """The ranks that are measured first, 0 and all of them among these."""
    found = list(range(min(width, ALL if width <= ALL else FIRST) + 1))
    while found[-1] < width:
        found.append(min(width, int(found[-1] * FURTHER)))
    return found


def smallest(points: Iterable[RankPoint], worth: float) -> RankPoint:
    """The smallest rank from which on none that was measured loses, or adds, `worth` or more."""
    falling = sorted(points, key=lambda one: -one.rank)
    return list(takewhile(lambda point: abs(1 - point.recovered) < worth, falling))[-1]


def _below(found: Mapping[int, RankPoint], kept: int) -> int:
    """The largest measured rank below one."""
    return max(k for k in found if k < kept)
