"""What the draws were like: a swap with itself tests nothing, nor one that leaves a site's inputs as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import define, field, frozen
from jaxtyping import Bool, Int

from scrub.claims.placement import PlacedSite
from scrub.claims.plain import as_dict
from scrub.claims.resolved import Claim
from scrub.claims.values import codes, joint_codes
from scrub.engine.draw import Drawn
from scrub.engine.unroll import Occurrence
from scrub.engine.upstream import upstream_classes

Rows = Int[np.ndarray, " row"]


@frozen
class Swaps:
    """The swaps of one variable, over all its occurrences.

    `self_swaps` is the share of draws that returned the calling row, `idle` the share in which the donor gave
    the site the same inputs (a leaf: the same model inputs upstream; else: the same value of every parent read,
    and the same frame where the donor decides it). `donors` counts distinct rows that were drawn, when exact
    those that can be. Class sizes are over the pool; `alone` counts rows without a partner.
    """

    variable: str
    self_swaps: float
    idle: float
    donors: int
    class_min: int
    class_median: float
    class_max: int
    alone: int

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)


@define
class _Count:
    draws: float = 0.0
    same: float = 0.0
    idle: float = 0.0
    donors: set[int] = field(factory=set[int])

    def swaps(self, claim: Claim, name: str) -> Swaps:
        code = claim.classes((name,))
        size = np.bincount(code)[code]
        return Swaps(
            name, self.same / self.draws, self.idle / self.draws, len(self.donors),
            int(size.min()), float(np.median(size)), int(size.max()), int((size == 1).sum()),
        )  # fmt: skip


class Tally:
    """Counts swaps, and the calls that found no rest row and kept their own (`empty="self"`)."""

    def __init__(self, claim: Claim, tree: Occurrence) -> None:
        self.claim, self.tree = claim, tree
        self.counts: dict[str, _Count] = {}
        self.own_rest = 0.0
        known: dict[tuple[PlacedSite, bool], Rows] = {}  # occurrences of one site have the same idle swaps
        for _, child in _calls(tree):
            if (child.placed, child.leaf) not in known:
                known[child.placed, child.leaf] = same_inputs(claim, child)
        self.inputs = {child.path: known[child.placed, child.leaf] for _, child in _calls(tree)}
        self.without_rest = without_rest(claim)

    def add(self, drawn: dict[str, Drawn]) -> None:
        """Count the draws of some calls."""
        for node, child in _calls(self.tree):
            count = self.counts.setdefault(child.variable, _Count())
            donor, caller, inputs = drawn[child.path].own, drawn[node.path].own, self.inputs[child.path]
            count.draws += len(donor)
            count.same += int((donor == caller).sum())
            count.idle += int((inputs[donor] == inputs[caller]).sum())
            count.donors.update(np.unique(donor).tolist())
        self.own_rest += sum(int(self.without_rest[drawn[node.path].own].sum()) for node in self._resting())

    def add_all(self, references: Rows) -> None:
        """Count what is expected of one draw for each reference row."""
        weight = {self.tree.path: np.bincount(references, minlength=len(self.claim.data)).astype(float)}
        for node, child in _calls(self.tree):
            count = self.counts.setdefault(child.variable, _Count())
            agree, caller = self.claim.classes(child.agree), weight[node.path]
            both = joint_codes([agree, self.inputs[child.path]], len(agree))
            size = np.bincount(agree)[agree]
            # Donors are uniform in the caller's class: a class gets the weight of its callers, each member the same
            # part.
            weight[child.path] = np.bincount(agree, weights=caller)[agree] / size
            count.draws += len(references)
            count.same += float((caller / size).sum())
            count.idle += float((caller * np.bincount(both)[both] / size).sum())
            count.donors.update(np.flatnonzero(weight[child.path]).tolist())
        self.own_rest += sum(float(weight[node.path][self.without_rest].sum()) for node in self._resting())

    def _resting(self) -> list[Occurrence]:
        """The occurrences that draw a rest row; with `rest_scope="draw"` the answer does for all."""
        if (self.claim.options.rest, self.claim.options.rest_scope) == ("resample", "draw"):
            return [self.tree]
        return [node for node in self.tree.walk() if not node.leaf]

    def swaps(self) -> tuple[Swaps, ...]:
        return tuple(count.swaps(self.claim, name) for name, count in sorted(self.counts.items()))


def _calls(tree: Occurrence) -> Iterator[tuple[Occurrence, Occurrence]]:
    """Every occurrence that asks with one that it asks for, readers first."""
    return ((node, child) for node in tree.walk() for child in node.children)


def same_inputs(claim: Claim, node: Occurrence) -> Rows:
    """Classes of rows whose swap would be idle at an occurrence."""
    site = node.placed.site
    upstream = upstream_classes(claim, site.components, site.at)
    if node.leaf:
        return upstream
    return joint_codes([claim.classes(node.placed.parents()), _frames(claim, upstream)], len(claim.data))


def _frames(claim: Claim, upstream: Rows) -> Rows:
    """What the rest of a call owes to its own row: nothing where it is drawn, all where that row is kept."""
    rest = claim.options.rest
    if rest == "resample":
        return np.where(without_rest(claim), upstream, -1)
    if rest == "paired":
        return upstream[np.where(claim.pair < 0, np.arange(len(upstream)), claim.pair)]
    if rest == "keep":
        return upstream
    places = codes((len(row.tokens), tuple(sorted(row.positions.items()))) for row in claim.data.rows)
    return joint_codes([places, np.where(without_rest(claim), upstream, -1)], len(upstream))


def without_rest(claim: Claim) -> Bool[np.ndarray, " row"]:
    """Rows for which there is no rest row, so that they are their own (`empty="self"`)."""
    if claim.options.rest == "paired":
        return claim.pair < 0
    if claim.options.rest in ("keep", "zero"):
        return np.zeros(len(claim.data), dtype=bool)
    return ~np.isin(claim.stratum, claim.stratum[claim.rest_from])
