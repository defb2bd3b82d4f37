"""What a proposal costs, counted before anything is run: the calls of each pass, and its forward passes.

A backward pass is counted as two forward passes. A patch begins at the first layer that it changes, so that it costs
a forward pass at most.
"""

from __future__ import annotations

from attrs import frozen

from scrub.anatomy.shape import Shape
from scrub.engine.cost import Pass
from scrub.proposals.nodes import USUAL, extent

ESTIMATES, EDGES, VERIFY, BOUND = "estimates", "edges", "verified by patching", "what may be missed"
CALLS = 3  # of the recommended method: AtP, RelP, and RelP with one rule
# Rows of a batch, and their tokens, at most: on a CPU larger ones leave its caches. Random subsets are patched on so
# many rows whatever the memory, so that a bound on what may be missed depends on no machine
BATCH, TOKENS = 16, 1024
VERIFIED, TOP, SUBSETS = 64, 10, 256  # patched at most, until so many stand; random subsets


@frozen
class Asking:
    """What decides the cost: the model's shape, how many rows, the longest, columns of positions, what is asked.

    `runs` are the passes forth and back by which nodes are estimated, `edges` those by which edges are, `exact` the
    kinds of nodes that are patched outright, `longest` the tokens of the longest row, `latents` how many nodes
    dictionaries have.
    """

    shape: Shape
    rows: int
    longest: int
    kinds: tuple[str, ...]
    exact: tuple[str, ...] = ("resid",)
    columns: int = 1
    latents: int = 0
    runs: int = CALLS
    edges: int = 1
    verify: int = VERIFIED
    top: int = TOP
    draws: int = SUBSETS

    @classmethod
    def usual(cls, shape: Shape, rows: int, longest: int) -> Asking:
        """The recommended method with its defaults."""
        return cls(shape, rows, longest, tuple(kind for kind in USUAL if extent(kind, shape)[0]))

    @property
    def subset(self) -> int:
        """On how many rows a random subset of nodes is patched."""
        return min(self.rows, batch_size(self.longest))

    def nodes(self, kinds: tuple[str, ...]) -> int:
        sizes = [extent(kind, self.shape) for kind in kinds]
        return self.columns * sum(layers * units for layers, units in sizes)


def batch_size(longest: int, most: int = BATCH) -> int:
    """How many rows make a batch, when none has more tokens than this."""
    return max(1, min(most, TOKENS // longest))


def passes_of(asking: Asking) -> tuple[Pass, ...]:
    """The passes of a search, in their order. Base and source are run once for each."""
    rows = asking.rows
    patched = asking.nodes(asking.exact) * rows
    ends = 4 if patched else 2  # of the search, and of what is patched
    found = [Pass(ESTIMATES, asking.runs * rows + patched, rows * (1 + ends + 3 * asking.runs) + patched)]
    if asking.edges:
        found.append(Pass(EDGES, rows, rows * (1 + 3 * asking.edges)))
    estimated = asking.nodes(tuple(kind for kind in asking.kinds if kind not in asking.exact))
    estimated += asking.columns * asking.latents
    if verified := min(asking.verify, estimated):
        steps = -(-verified // max(1, asking.top))
        found.append(Pass(VERIFY, verified * rows, verified * rows + 2 * rows * steps, bound="<="))
    if asking.draws and estimated:
        subsets = asking.draws * asking.subset
        found.append(Pass(BOUND, subsets, subsets + 2 * rows, bound="<="))
    return tuple(found)
