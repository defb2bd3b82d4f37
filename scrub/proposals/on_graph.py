"""Proposals in a computation graph: every node patched exactly, since plain functions have no gradients."""

from __future__ import annotations

import numpy as np
from attrs import evolve

from scrub.anatomy.edges import Node
from scrub.anatomy.names import Component
from scrub.circuit.asked import Origin
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import Experiment, described
from scrub.circuit.runs import start_of
from scrub.circuit.universe import free_writers
from scrub.errors import ClaimError
from scrub.proposals.agreement import over_rows
from scrub.proposals.bound import Bounded
from scrub.proposals.methods import RECOMMENDED, find
from scrub.proposals.proposal import Proposal, Ranked, aggregate_of
from scrub.proposals.search import left_out
from scrub.proposals.wanted import Wanted
from scrub.score.listener import Listener


def search_graph(experiment: Experiment, wanted: Wanted, origin: Origin, listener: Listener) -> Proposal:
    """Every node's effect; the listener hears how many calls are made.

    Raises ClaimError for a method that needs gradients.
    """
    if wanted.method != RECOMMENDED and not find(wanted.method).exact:
        raise ClaimError(f"method={wanted.method!r}: the functions of a graph have no gradients; use method='exact'.")
    bench = evolve(CircuitBench.of(experiment, None, Circuit(), wanted.seed, 1), done=listener.done)
    parts = [Node(component) for component in free_writers(experiment.graph, bench.passed)]
    listener.begin("every node patched", (len(parts) + 2) * len(bench.calls))
    start = start_of(bench)
    scores = bench.scores([Circuit.from_parts([part]) for part in parts], without=experiment.noising)
    effects = scores - start
    absolute = bool(wanted.absolute)
    size = np.abs(over_rows(effects.T, absolute))
    order = np.argsort(-size, kind="stable")
    nodes = [_ranked(str(parts[i]), effects[i], absolute) for i in order]
    data = experiment.data
    partners = experiment.donors(bench.calls, wanted.seed)
    other = bench.scores([bench.everything if not experiment.noising else Circuit()])[0]
    return Proposal(
        hypothesis=origin.hypothesis,
        method=wanted.method,
        direction=experiment.protocol.direction,
        metric=str(experiment.metric),
        aggregate=aggregate_of(absolute),
        nodes=tuple(nodes),
        positions=(None,),
        edges=(),
        edge_method=None,
        agreement=None,
        by_kind={},
        recall=(),
        overhead=None,
        stands=True,
        bounded=Bounded((), 0, 0),
        bounded_kinds=(),
        rules={},
        passes={"forward": float(len(parts) + 2), "backward": 0.0},
        base=float(start.mean()),
        source=float(other.mean()),
        left_out=() if origin.claimed is None else left_out(nodes, origin.claimed),
        cautions=(),
        rows=len(bench.rows),
        seen=tuple(sorted({data.rows[row].input_digest for row in (*bench.rows, *partners)})),
        seed=wanted.seed,
        options=described(experiment) | wanted.options(),
        digest=experiment.digest,
        provenance=origin.provenance,
        row_numbers=bench.rows,
        estimates=effects[order].T,
    )


def _ranked(name: str, effect: np.ndarray, absolute: bool) -> Ranked:
    signed, size = float(effect.mean()), float(np.abs(effect).mean())
    score = size if absolute else signed
    return Ranked(Component.for_node(name), None, score, signed, size, score, "exact")
