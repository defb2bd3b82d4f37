"""What a proposal costs, counted before anything is run: the calls of each pass, and its forward passes.

A backward pass is counted as two forward passes. A patch begins at the first layer that it changes, so that it costs
a forward pass at most.
"""

from __future__ import annotations

from attrs import frozen

from scrub.model.graph import Shape
from scrub.proposals.methods import RECOMMENDED, find
from scrub.proposals.nodes import extent
from scrub.proposals.setup import Setup, batch_size
from scrub.proposals.wanted import Wanted

NAMES = ESTIMATES, EDGES, VERIFY, BOUND = "estimates", "edges", "verified by patching", "what may be missed"
CALLS = 3  # of the recommended method: AtP, RelP, and RelP with one rule


@frozen
class Phase:
    """One pass: how many calls it makes, a run of a row each, and in forward passes. `most`: it may need fewer."""

    name: str
    calls: int
    forwards: float
    most: bool = False


@frozen
class Asking:
    """What decides the cost: the model's shape, what is asked, how many rows, the longest, columns of positions."""

    shape: Shape
    wanted: Wanted
    rows: int
    longest: int
    columns: int = 1

    @classmethod
    def of(cls, setup: Setup, wanted: Wanted) -> Asking:
        lengths = setup.experiment.data.lengths[setup.rows]
        return cls(setup.model.shape, wanted, len(setup.rows), int(lengths.max()), max(1, len(setup.at)))

    @property
    def subset(self) -> int:
        """On how many rows a random subset of nodes is patched."""
        return min(self.rows, batch_size(self.longest))

    def nodes(self, kinds: tuple[str, ...]) -> int:
        sizes = [extent(kind, self.shape) for kind in kinds]
        return self.columns * sum(layers * units for layers, units in sizes)


def phases_of(asking: Asking) -> tuple[Phase, ...]:
    """The passes of a search, in their order. Base and source are run once for each."""
    wanted, rows = asking.wanted, asking.rows
    found = [_estimates(asking)]
    method = find("relp" if wanted.method == RECOMMENDED else wanted.method)
    if wanted.edges or (wanted.edges is None and method.edges is not None):
        steps = wanted.steps if method.name == "eap-ig" else 1
        found.append(Phase(EDGES, rows, rows * (2 + 3 * steps - 1)))
    estimated = asking.nodes(tuple(kind for kind in wanted.kinds if kind != "resid" or wanted.method != RECOMMENDED))
    verified = min(wanted.verify, estimated if wanted.method != "exact" else 0)
    if verified:
        steps = -(-verified // max(1, wanted.top))
        found.append(Phase(VERIFY, verified * rows, verified * rows + 2 * rows * steps, most=True))
    if wanted.draws and wanted.method != "exact":
        subsets = wanted.draws * asking.subset
        found.append(Phase(BOUND, subsets, subsets + 2 * rows, most=True))
    return tuple(found)


def _estimates(asking: Asking) -> Phase:
    wanted, rows = asking.wanted, asking.rows
    ends = 2 * rows
    if wanted.method == "exact":
        patches = asking.nodes(wanted.kinds) * rows
        return Phase(ESTIMATES, patches + rows, ends + 2 * rows + patches, most=True)
    if wanted.method == RECOMMENDED:
        exact = asking.nodes(("resid",)) * rows if "resid" in wanted.kinds else 0
        return Phase(
            ESTIMATES, CALLS * rows + exact, ends + rows * (1 + 3 * CALLS) + (exact + 2 * rows if exact else 0)
        )
    steps = wanted.steps if find(wanted.method).elsewhere else 1
    return Phase(ESTIMATES, rows, ends + rows * (1 + 3 * steps))
