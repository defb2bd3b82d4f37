"""The passes of a proposal: rank by estimates, verify by patching, bound the rest, name what a claim leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from attrs import frozen
from jaxtyping import Float

from scrub.anatomy.edges import Edge
from scrub.anatomy.names import Component
from scrub.circuit.asked import Origin
from scrub.circuit.experiment import described
from scrub.proposals.agreement import Agreement, agreement, over_rows, overhead, recall_costs
from scrub.proposals.bound import Bounded, bound_rest
from scrub.proposals.cost import BOUND, CALLS, EDGES, ESTIMATES, VERIFY, Asking, passes_of
from scrub.proposals.edges import Edges
from scrub.proposals.estimates import Call, edges_of
from scrub.proposals.methods import RECOMMENDED, find
from scrub.proposals.nodes import KINDS, WHOLE, kind_of
from scrub.proposals.patching import PlacedNode
from scrub.proposals.proposal import Proposal, Ranked, RankedEdge, aggregate_of
from scrub.proposals.rank import NodeRanking, rank
from scrub.proposals.setup import Setup
from scrub.proposals.verify import PatchBudget, Verified, verify
from scrub.proposals.wanted import Wanted
from scrub.score.listener import Listener

IN_HEADS = ("q", "k", "v", "head")
STRONG = 0.1  # of the largest effect
Done = Callable[[int], None]
Rows = Float[np.ndarray, " row"]
Ends = Float[np.ndarray, "two row"]


@frozen(eq=False)
class _Estimated:
    """What is known before anything is patched; `ends` are the metric of base and source on each row."""

    setup: Setup
    wanted: Wanted
    origin: Origin
    ranking: NodeRanking
    ends: Ends
    edges: Edges | None
    edge_method: str | None


def search(setup: Setup, wanted: Wanted, origin: Origin, listener: Listener) -> Proposal:
    """Run the passes; the listener hears of each, and of what is known before the last of them."""
    begin, done = listener.begin, listener.done
    phases = {one.name: one.calls for one in passes_of(_asking(setup, wanted))}
    begin(ESTIMATES, phases[ESTIMATES])
    ranking = rank(setup, wanted, done)
    ranking = ranking.taken(sorted(range(len(ranking.nodes)), key=lambda i: _whole(setup, ranking.nodes[i])))
    if EDGES in phases:
        begin(EDGES, phases[EDGES])
    edges, edge_method = _edges(setup, wanted, done)
    estimated = _Estimated(setup, wanted, origin, ranking, setup.ends(), edges, edge_method)
    ranked = [node for node, known in zip(ranking.nodes, ranking.exact, strict=True) if not known]
    ranked = [node for node in ranked if not _whole(setup, node)]

    def so_far(verified: Verified) -> None:
        if listener.ready is None:
            return
        lacking = Bounded((), len(_rest(wanted, ranked, verified)), 0)
        broken = f"broken off after {len(verified.nodes)} patches, before anything was bounded"
        listener.ready(_proposal(estimated, verified, lacking, (broken,)))

    if VERIFY in phases:
        begin(VERIFY, min(phases[VERIFY], len(ranked) * len(setup.rows)))
    budget = PatchBudget(wanted.patches, wanted.top, ranking.absolute)
    verified = verify(setup, ranked, budget, done, so_far)
    if BOUND in phases:
        begin(BOUND, phases[BOUND])
    rest = ranking.estimated(_rest(wanted, ranked, verified))
    bounded = bound_rest(setup, rest, wanted.draws, wanted.seed, done)
    return _proposal(estimated, verified, bounded)


def _asking(setup: Setup, wanted: Wanted) -> Asking:
    """What decides the cost of a search."""
    lengths, recommended = setup.experiment.data.lengths[setup.rows], wanted.method == RECOMMENDED
    method = find("relp" if recommended else wanted.method)
    steps = wanted.steps if method.elsewhere else 1
    asked = wanted.edges or (wanted.edges is None and method.edges is not None)
    exact = ("resid",) if recommended else wanted.kinds if method.exact else ()
    kinds = tuple(kind for kind in wanted.kinds if kind in KINDS and (setup.at or kind not in WHOLE))
    return Asking(
        setup.model.shape, len(setup.rows), int(lengths.max()), kinds,
        exact=tuple(kind for kind in kinds if kind in exact), columns=max(1, len(setup.at)),
        latents=sum(one.units for one in setup.dictionaries.values()),
        runs=CALLS if recommended else 0 if method.exact else steps, edges=steps if asked else 0,
        verify=wanted.patches, top=wanted.top, draws=wanted.draws,
    )  # fmt: skip


def _rest(wanted: Wanted, ranked: Sequence[PlacedNode], verified: Verified) -> list[PlacedNode]:
    """What was not patched, and is bounded."""
    patched, fine = set(verified.nodes), finest(wanted.kinds)
    return [placed for placed in ranked if placed not in patched and kind_of(placed.node) in fine]


def _proposal(
    estimated: _Estimated, verified: Verified, bounded: Bounded, cautions: tuple[str, ...] = ()
) -> Proposal:
    setup, wanted, origin, ranking = estimated.setup, estimated.wanted, estimated.origin, estimated.ranking
    edges, ends = estimated.edges, estimated.ends
    effects = _exact(setup, ranking, verified, ends[1] - ends[0])
    nodes = _ranked(setup, ranking, effects)
    shares = None if cautions or wanted.method == RECOMMENDED else find(wanted.method).shares
    sources = () if shares is None else shares(setup, [node.component for node in nodes])
    whole, by_kind = _agreement(ranking, verified)
    size = np.abs(over_rows(verified.values, ranking.absolute))
    costs = recall_costs(np.arange(len(size)), size, wanted.top)
    rows, fine = len(setup.rows), finest(wanted.kinds)
    return Proposal(
        hypothesis=origin.hypothesis,
        method=wanted.method,
        direction=setup.experiment.protocol.direction,
        metric=str(setup.metric),
        aggregate=aggregate_of(ranking.absolute),
        nodes=nodes,
        positions=setup.names,
        edges=_ranked_edges(edges),
        edge_method=estimated.edge_method,
        agreement=whole,
        by_kind=by_kind,
        recall=tuple(costs),
        overhead=overhead(costs),
        stands=verified.stands,
        bounded=bounded,
        bounded_kinds=tuple(kind for kind in fine if setup.at or kind not in WHOLE),
        rules=dict(setup.passes.rules),
        passes={what: count / rows for what, count in setup.passes.count.items()},
        base=float(ends[0].mean()),
        source=float(ends[1].mean()),
        left_out=() if origin.claimed is None else left_out(nodes, origin.claimed),
        cautions=(*((ranking.caution,) if ranking.caution else ()), *cautions),
        rows=rows,
        seen=setup.seen,
        seed=wanted.seed,
        options=described(setup.experiment) | wanted.options(),
        digest=setup.experiment.digest,
        provenance=origin.provenance,
        edge_aggregate=None if edges is None else aggregate_of(bool(wanted.absolute)),
        sources=sources,
        row_numbers=setup.rows,
        estimates=ranking.values,
    )


def _edges(setup: Setup, wanted: Wanted, done: Done) -> tuple[Edges | None, str | None]:
    """By the method itself; where it has no edges (or for `recommended`), and they are asked for, by another."""
    name = "relp" if wanted.method == RECOMMENDED else wanted.method
    method = find(name)
    if wanted.edges is False or (wanted.edges is None and method.edges is None):
        return None, None
    if method.edges is None:
        name, method = "eap", find("eap")
    return edges_of(setup, Call(method, wanted.asked((), method)), done, bool(wanted.absolute)), name


def finest(kinds: Sequence[str]) -> tuple[str, ...]:
    """The kinds that subsets are drawn from: of those that hold the same values, the finest."""
    found = [kind for kind in ("embed", *IN_HEADS) if kind in kinds]
    coarser = [("attn", IN_HEADS), ("neuron", ()), ("mlp", ("neuron",)), ("resid", set(kinds) - {"resid"})]
    found += [kind for kind, finer in coarser if kind in kinds and not set(finer) & set(kinds)]
    found += [kind for kind in kinds if kind not in KINDS]
    return tuple(found)


def _whole(setup: Setup, placed: PlacedNode) -> bool:
    """Whether a node is the whole run, every position of one stream: patching it gives the source run."""
    return not setup.at and kind_of(placed.node) in WHOLE


def _exact(setup: Setup, ranking: NodeRanking, verified: Verified, swapped: Rows) -> Mapping[PlacedNode, Rows]:
    """Effects per row: of what was patched to verify it, of what its own method patched, of the whole run."""
    found = {node: verified.values[:, i] for i, node in enumerate(verified.nodes)}
    for i, (node, known) in enumerate(zip(ranking.nodes, ranking.exact, strict=True)):
        if known:
            found[node] = ranking.values[:, i]
        elif _whole(setup, node):
            found[node] = swapped
    return found


def _ranked(setup: Setup, ranking: NodeRanking, effects: Mapping[PlacedNode, Rows]) -> tuple[Ranked, ...]:
    found: list[Ranked] = []
    for i, placed in enumerate(ranking.nodes):
        exact = effects.get(placed)
        known = ranking.values[:, i] if exact is None else exact
        signed, absolute = float(known.mean()), float(np.abs(known).mean())
        words = None if exact is None else absolute if ranking.absolute else signed
        beside = {name: float(scores[i]) for name, scores in ranking.companions.items()}
        found.append(
            Ranked(
                placed.node, setup.names[placed.column], float(ranking.scores[i]),
                signed, absolute, words, ranking.method[i], beside, ranking.disagree[i],
            )
        )  # fmt: skip
    return tuple(found)


def _agreement(ranking: NodeRanking, verified: Verified) -> tuple[Agreement | None, dict[str, Agreement]]:
    """Over the nodes that were patched to verify an estimate, and for each kind of them."""
    if not verified.nodes:
        return None, {}
    place = {node: i for i, node in enumerate(ranking.nodes)}
    scores = ranking.scores[[place[node] for node in verified.nodes]]
    exact, kinds = over_rows(verified.values, ranking.absolute), np.array([kind_of(p.node) for p in verified.nodes])
    by_kind = {str(kind): agreement(scores[kinds == kind], exact[kinds == kind]) for kind in dict.fromkeys(kinds)}
    return agreement(scores, exact), by_kind


def _ranked_edges(edges: Edges | None) -> tuple[RankedEdge, ...]:
    if edges is None:
        return ()
    scores = edges.scores[0].cpu().numpy()
    found = [
        RankedEdge(Edge(edges.senders[s], *edges.readers[r]), float(scores[s, r]))
        for s, r in zip(*np.nonzero(edges.exist), strict=True)
    ]
    return tuple(sorted(found, key=lambda e: (-abs(e.score), e.sender, e.receiver)))


def left_out(nodes: Sequence[Ranked], claimed: frozenset[Component]) -> tuple[str, ...]:
    """Nodes above a tenth of the largest effect whose component a claim does not name, the strongest first.

    Heads, their queries, keys and values, MLPs, nodes of a graph; coarser ones hold what others write, too.
    """
    fine = [n for n in nodes if n.component.host.traits.inner and not (n.component.traits.scalar or n.component.part)]
    most = max((abs(node.best) for node in fine), default=0.0)
    strong = sorted((n for n in fine if most and abs(n.best) >= STRONG * most), key=lambda n: -abs(n.best))
    found = [node for node in strong if node.component.host not in claimed]
    names = (node.node if node.position is None else f"{node.node} @ {node.position}" for node in found)
    return tuple(dict.fromkeys(names))
