"""What the draws were like: a swap of a row with itself tests nothing, nor one that gives a site the same inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import Factory, asdict, frozen
from jaxtyping import Int

from scrub.claims.resolved import Claim
from scrub.engine.draw import Drawn
from scrub.engine.unroll import Occurrence
from scrub.engine.upstream import upstream_classes


@frozen
class Swaps:
    """The swaps of one variable, over all its occurrences.

    `self_swaps` is the share of draws that returned the calling row, `idle` the share in which the donor gave the
    site the same inputs (a leaf: the same model inputs upstream; else: every parent read has the same value).
    Class sizes are over the pool; `alone` counts rows without partner, `donors` distinct rows that were drawn.
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
        return asdict(self)


@frozen(eq=False)
class _Count:
    draws: list[int] = Factory(lambda: [0])
    same: list[int] = Factory(lambda: [0])
    idle: list[int] = Factory(lambda: [0])
    donors: list[set[int]] = Factory(lambda: [set[int]()])


class Tally:
    """Counts swaps chunk by chunk."""

    def __init__(self, claim: Claim, tree: Occurrence) -> None:
        self.claim, self.tree = claim, tree
        self.counts: dict[str, _Count] = {}
        self.own_rest = 0
        self.inputs: dict[str, Int[np.ndarray, " row"]] = {
            node.path: self._inputs(node) for node in tree.walk() if not node.is_root
        }

    def _inputs(self, node: Occurrence) -> Int[np.ndarray, " row"]:
        """Classes of rows whose swap would be idle at an occurrence."""
        if node.leaf:
            site = node.placed.site
            return upstream_classes(self.claim, site.components, site.at)
        return self.claim.classes(node.placed.parents())

    def add(self, drawn: dict[str, Drawn]) -> None:
        for node in self.tree.walk():
            for child in node.children:
                count = self.counts.setdefault(child.variable, _Count())
                donor, caller = drawn[child.path].own, drawn[node.path].own
                inputs = self.inputs[child.path]
                count.draws[0] += len(donor)
                count.same[0] += int((donor == caller).sum())
                count.idle[0] += int((inputs[donor] == inputs[caller]).sum())
                count.donors[0].update(np.unique(donor).tolist())
        if self.claim.options.empty == "self":
            root = drawn[self.tree.path]
            self.own_rest += int((root.rest[:, 0] == root.own).sum())

    def swaps(self) -> tuple[Swaps, ...]:
        found: list[Swaps] = []
        for name, count in sorted(self.counts.items()):
            sizes = np.bincount(self.claim.classes((name,)))
            size = sizes[self.claim.classes((name,))]
            found.append(
                Swaps(
                    name,
                    count.same[0] / count.draws[0],
                    count.idle[0] / count.draws[0],
                    len(count.donors[0]),
                    int(size.min()),
                    float(np.median(size)),
                    int(size.max()),
                    int((size == 1).sum()),
                )  # fmt: skip
            )
        return tuple(found)
