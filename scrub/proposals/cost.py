"""What a proposal costs, counted before anything is run: the calls of each pass, and its forward passes.

A backward pass is counted as two forward passes. A patch begins at the first layer that it changes; that it may begin
at a later position is not counted.
"""

from __future__ import annotations

from attrs import frozen

from scrub.anatomy.shape import Shape
from scrub.anatomy.table import TABLE
from scrub.engine.cost import Pass
from scrub.proposals.nodes import USUAL, WHOLE, extent

ESTIMATES, EDGES, VERIFY, BOUND = "estimates", "edges", "verified by patching", "what may be missed"
CALLS = 3  # of the recommended method: AtP, RelP, and RelP with one rule
BATCH, TOKENS = 16, 1024  # rows of a batch, and their tokens, at most: on a CPU larger ones leave its caches
VERIFIED, TOP, SUBSETS = 64, 10, 256  # patched at most, until so many stand; random subsets
# On so many rows at most each subset is patched, whatever the memory, so that a bound on what may be missed depends
# on no machine. Beside estimates four rows bound as closely as sixteen do alone
SUBSET = 4
EVERY = "all"  # nodes: all are verified


@frozen
class Asking:
    """What decides the cost: the model's shape, how many rows, the longest, columns of positions, what is asked.

    `runs` are the passes forth and back by which nodes are estimated, `edges` those by which edges are, `exact` the
    kinds of nodes that are patched outright, `longest` the tokens of the longest row, `latents` how many nodes
    dictionaries have; `verify` is None where all nodes are verified. Kinds that are the whole run are none of these.
    """

    shape: Shape
    rows: int
    longest: int
    kinds: tuple[str, ...]
    exact: tuple[str, ...] = ()
    columns: int = 1
    latents: int = 0
    runs: int = CALLS
    edges: int = 1
    verify: int | None = VERIFIED
    top: int = TOP
    draws: int = SUBSETS

    @classmethod
    def usual(cls, shape: Shape, rows: int, longest: int) -> Asking:
        """The recommended method with its defaults."""
        kinds = (kind for kind in USUAL if extent(kind, shape)[0] and kind not in WHOLE)
        return cls(shape, rows, longest, tuple(kinds))

    @property
    def subset(self) -> int:
        """On how many rows a random subset of nodes is patched."""
        return min(self.rows, batch_size(self.longest, SUBSET))

    def patches(self, kinds: tuple[str, ...]) -> list[float]:
        """What patching each node of some kinds takes, in forward passes of a row, the dearest first."""
        depth = self.shape.n_layers
        found: list[float] = []
        for kind in kinds:
            layers, units = extent(kind, self.shape)
            for layer in range(layers):  # behind an MLP that is patched, the next layer is the first to be computed
                found += [(depth - layer - TABLE[kind].local) / depth] * (units * self.columns)
        return sorted(found, reverse=True)


def batch_size(longest: int, most: int = BATCH) -> int:
    """How many rows make a batch, when none has more tokens than this."""
    return max(1, min(most, TOKENS // longest))


def passes_of(asking: Asking) -> tuple[Pass, ...]:
    """The passes of a search, in their order. Base and source are run once, where the memory holds what they give."""
    rows, exact = asking.rows, asking.patches(asking.exact)
    found = [Pass(ESTIMATES, (asking.runs + len(exact)) * rows, rows * (2 + 3 * asking.runs + sum(exact)))]
    if asking.edges:
        found.append(Pass(EDGES, rows, 3 * rows * asking.edges))
    estimated = [1.0] * (asking.columns * asking.latents)
    estimated += asking.patches(tuple(kind for kind in asking.kinds if kind not in asking.exact))
    if verified := estimated[: asking.verify]:
        found.append(Pass(VERIFY, len(verified) * rows, rows * sum(verified), bound="<="))
    if asking.draws and estimated:
        subsets = asking.draws * asking.subset
        found.append(Pass(BOUND, subsets, subsets + 2 * rows, bound="<="))
    return tuple(found)
