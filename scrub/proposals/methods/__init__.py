"""One file a method. A file here is a method: its name is the file's, and nothing else lists it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve, field, frozen

from scrub.anatomy.names import Component
from scrub.claims.wording import METHODS
from scrub.errors import ClaimError, did_you_mean
from scrub.proposals.attribute import Scores
from scrub.proposals.edges import Edges
from scrub.proposals.forward import PatchBatch
from scrub.proposals.nodes import KINDS, LATENTS
from scrub.proposals.proposal import SourceShare
from scrub.proposals.setup import Setup

__path__ = METHODS.path

RECOMMENDED = "recommended"  # no method of its own: the best of several for each kind of node


@frozen
class Asked:
    """What a method is told: kinds of nodes, rules where it takes any, steps of a path where it follows one.

    `points` lie in these steps; None are the method's own.
    """

    kinds: tuple[str, ...]
    rules: tuple[str, ...] = ()
    steps: int = 5
    over: str = "inputs"
    points: str | None = None
    done: Callable[[int], None] = field(default=lambda n: None, repr=False, eq=False)


@frozen(eq=False)
class Method:
    """A way to estimate the effects of nodes.

    `nodes(batch, asked)` gives signed estimates per row, `edges(batch, asked)` those of edges
    [row sender reader] where a method has any. `inside` says that its source takes absolute values per row, before
    the mean over rows; `magnitude` that its estimates are never negative; `rules` are its own. `gradient` is false
    where it needs no derivative of the metric, `elsewhere` true where it takes some away from the base run, too;
    `takes` names what it reads of `rules`, `steps`, `over`, `points`. `exact` says that its estimates are the effects
    themselves, so that nothing is left to verify; `softmax` that it has queries and keys where the pattern is held
    constant. `shares(setup, nodes)` tells where the first heads among nodes take what they write from.
    """

    summary: str
    source: str
    nodes: Callable[[PatchBatch, Asked], Scores]
    edges: Callable[[PatchBatch, Asked], Edges] | None = None
    inside: bool = False
    magnitude: bool = False
    kinds: tuple[str, ...] = (*KINDS, LATENTS)
    rules: tuple[str, ...] = ()
    gradient: bool = True
    elsewhere: bool = False
    takes: tuple[str, ...] = ()
    caution: str = ""
    exact: bool = False
    softmax: bool = False
    shares: Callable[[Setup, Sequence[Component]], tuple[SourceShare, ...]] | None = None
    name: str = field(default="")


def names() -> tuple[str, ...]:
    """The methods' names, `eap-ig` for the file eap_ig.py."""
    return tuple(sorted(name.replace("_", "-") for name in METHODS.names()))


def find(name: str) -> Method:
    """The method of a name. Raises ClaimError for one that is unknown, PlugInError for a file that fails."""
    if name not in names():
        known = (RECOMMENDED, *names())
        raise ClaimError(f"method={name!r} is unknown.{did_you_mean(str(name), known)} Known: {', '.join(known)}.")
    return evolve(METHODS.load(__name__, name.replace("-", "_"), Method), name=name)
