"""From estimates to a ranking: which method ranks which kind of node, and where companions disagree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float, Int

from scrub.anatomy.table import TABLE
from scrub.proposals.agreement import over_rows
from scrub.proposals.bound import Unpatched
from scrub.proposals.estimates import ByKind, Call, Estimates, estimate
from scrub.proposals.methods import RECOMMENDED, Asked, find
from scrub.proposals.nodes import KINDS
from scrub.proposals.patching import PlacedNode
from scrub.proposals.rules import Rules, parse_rules
from scrub.proposals.setup import Setup
from scrub.proposals.wanted import Wanted

TOP, FAR = 20, 3  # a node among the first 20 of one method, and beyond three times its rank (plus 10) of another
FIXED = ("q", "k")
STREAMS = tuple(kind for kind in KINDS if TABLE[kind].is_stream)
SCALARS = tuple(kind for kind in KINDS if TABLE[kind].scalar)


@frozen(eq=False)
class NodeRanking:
    """Nodes with their estimates [row, node], the best first.

    `method` names each node's own, `exact` says whether it gives the effect itself.
    """

    nodes: tuple[PlacedNode, ...]
    values: Float[np.ndarray, "row node"]
    scores: Float[np.ndarray, " node"]
    method: tuple[str, ...]
    exact: tuple[bool, ...]
    companions: dict[str, Float[np.ndarray, " node"]]
    disagree: tuple[bool, ...]
    absolute: bool
    caution: str = ""

    def taken(self, order: Sequence[int] | Int[np.ndarray, " node"]) -> NodeRanking:
        """The nodes in another order."""
        return evolve(
            self,
            nodes=tuple(self.nodes[i] for i in order),
            values=self.values[:, order],
            scores=self.scores[order],
            method=tuple(self.method[i] for i in order),
            exact=tuple(self.exact[i] for i in order),
            companions={name: other[order] for name, other in self.companions.items()},
            disagree=tuple(self.disagree[i] for i in order),
        )

    def estimated(self, nodes: Sequence[PlacedNode]) -> Unpatched:
        """Some nodes with what is estimated of them."""
        place = {node: i for i, node in enumerate(self.nodes)}
        return Unpatched(nodes, self.values[:, [place[node] for node in nodes]])


def rank(setup: Setup, wanted: Wanted, done: Callable[[int], None]) -> NodeRanking:
    """Every node by the size of its score. Raises ClaimError for an unknown method or rule, MetricError."""
    if wanted.method == RECOMMENDED:
        absolute = True if wanted.absolute is None else wanted.absolute
        return _recommended(setup, wanted.kinds, parse_rules(wanted.rules), absolute, done)
    method = find(wanted.method)
    asked = wanted.asked(wanted.kinds, method, done)
    found = Estimates.of(estimate(setup, [Call(method, asked)], done)[0], setup.space)
    absolute = method.inside if wanted.absolute is None else wanted.absolute or method.magnitude
    return _ordered(found, [(wanted.method, method.exact)] * len(found.nodes), {}, absolute, method.caution)


def _recommended(
    setup: Setup, kinds: tuple[str, ...], rules: Rules, absolute: bool, done: Callable[[int], None]
) -> NodeRanking:
    """RelP for components and latents, AtP for neurons, exact patching for the residual stream.

    For q and k the softmax recomputed, under AtP or RelP, whichever ranks a node higher. AtP
    and RelP with the rule `ln` alone stand beside.
    """
    fix, first = find("qkfix"), tuple(kind for kind in kinds if kind not in STREAMS)
    streams = tuple(kind for kind in kinds if kind in STREAMS)
    calls = [Call(fix, Asked(first, with_rules)) for with_rules in ((), rules, ("ln",)) if first]
    calls += [Call(find("exact"), Asked(streams, done=done)) for _ in streams[:1]]
    found = estimate(setup, calls, done)
    resid = found.pop() if streams else {}
    plain, ruled, ln = ({**some, **resid} for some in found or ({}, {}, {}))
    main: ByKind = {}
    named: list[tuple[str, bool]] = []
    for kind in kinds:
        better = np.full(ruled[kind].shape[1:], kind in SCALARS)
        if kind in FIXED:
            better = _places(plain[kind], absolute) < _places(ruled[kind], absolute)
        main[kind] = np.where(better, plain[kind], ruled[kind])
        named += [_label(kind, bool(atp)) for atp in better.ravel()]
    beside = {"atp": plain, "relp (ln)": ln}
    companions = {
        name: Estimates.of({kind: some[kind] for kind in kinds}, setup.space) for name, some in beside.items()
    }
    return _ordered(Estimates.of(main, setup.space), named, companions, absolute)


def _label(kind: str, atp: bool) -> tuple[str, bool]:
    """What a node was estimated by, and whether that is exact."""
    if kind in STREAMS:
        return "exact", True
    return ("atp" if atp else "relp") + (" qkfix" if kind in FIXED else ""), False


def _places(
    values: Float[np.ndarray, "row layer unit column"], absolute: bool
) -> Int[np.ndarray, "layer unit column"]:
    """The rank of each node among its kind."""
    size = np.abs(over_rows(values, absolute))
    return _rank_of(size.ravel()).reshape(size.shape)


def _ordered(
    found: Estimates,
    named: list[tuple[str, bool]],
    companions: dict[str, Estimates],
    absolute: bool,
    caution: str = "",
) -> NodeRanking:
    scores = found.mean(absolute)
    beside = {name: other.mean(absolute) for name, other in companions.items()}
    apart = np.zeros(len(scores), dtype=bool)
    for other in beside.values():
        here, there = (_rank_of(np.abs(s)) for s in (scores, other))
        first, last = np.minimum(here, there), np.maximum(here, there)
        apart |= (first <= TOP) & (last > FAR * first + 10)
    disagree = tuple(map(bool, apart))
    labels, exact = tuple(label for label, _ in named), tuple(exact for _, exact in named)
    listed = NodeRanking(found.nodes, found.values, scores, labels, exact, beside, disagree, absolute, caution)
    return listed.taken(np.argsort(-np.abs(scores), kind="stable"))


def _rank_of(size: Float[np.ndarray, " node"]) -> Int[np.ndarray, " node"]:
    place = np.empty(len(size), dtype=np.int64)
    place[np.argsort(-size, kind="stable")] = np.arange(1, len(size) + 1)
    return place
