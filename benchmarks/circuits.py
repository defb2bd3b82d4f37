"""Circuits and path patching at GPT-2 small's size, as ratios to a plain forward pass in the same run.

CPU time of one thread, the minimum over interleaved rounds; 16 rows of 16 tokens, logits read at the last one. The
unit is one plain Hugging Face forward pass of the same rows. Peers' figures include the two runs of the rows, and so
do the rows here that say so (their own versions, measured in the same way on the same shape: docs/benchmarks.md).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from ioi import CLAIM, model_of, rows_of
from measuring import best_of, growth, in_fresh_process

from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import experiment_of
from scrub.circuit.paths import parse_path
from scrub.circuit.sweep import bench_for, senders_of
from scrub.circuit.universe import every_edge
from scrub.claims.collect import collect
from scrub.claims.dataset import Dataset
from scrub.claims.protocol import Protocol
from scrub.model.resolve import sound
from scrub.model.transformer import adapt, bridge_of

ROUNDS = 5
ALL_LIVE = "144 heads to the logits, everything downstream live, with both runs"
BOUNDS = {
    "edge mask, half of 32,491 edges": 1.7,
    "edge mask, half of 32,491 edges, with both runs": 4.5,
    "edge mask, a tenth of the edges": 1.5,
    "26 heads, by components": 1.5,
    "26 heads, by edges": 1.5,
    "26 heads, by edges, with both runs": 2.5,
    "144 heads to the logits, direct, with both runs": 2.1,
    "144 heads to the logits, direct, rows cached": 0.1,
    "144 heads to the logits, through MLPs, with both runs": 5.5,
    ALL_LIVE: 75.0,
    "108 heads into q, k, v of layer 9, then to the logits": 5.0,
    "108 heads into q, k, v of layer 9, everything downstream live": 55.0,
}


def cases(vocabulary: int, only: str = "") -> dict[str, Callable[[], object]]:
    """What is timed (names that hold `only`), and the plain forward pass it is compared with."""
    model = model_of(vocabulary)
    data = paired(rows_of(16, vocabulary))
    tokens = torch.tensor([row.tokens for row in data.rows])
    hypothesis = next(h for h in collect([str(CLAIM)]).hypotheses if not h.foil_reason)
    weights = adapt(bridge_of(model, "GPT2LMHeadModel"))
    claim, _ = sound(hypothesis.but(data=data, scored=None, through=None), weights, expecting=False)
    protocol = Protocol(ablation="paired", pair="other")
    experiment = experiment_of(claim, np.arange(16), protocol, None)
    named = Circuit.of_claim(claim)
    universe = every_edge(experiment.graph, frozenset(), experiment.output)
    rng = np.random.default_rng(0)

    def masked(circuit: Circuit) -> Callable[[], object]:
        bench = CircuitBench.of(experiment, weights, circuit)
        if not only:
            bench.scores([circuit])  # the two runs of the rows are kept
        return lambda: bench.scores([circuit])

    def anew(circuit: Circuit) -> Callable[[], object]:
        return lambda: CircuitBench.of(experiment, weights, circuit).scores([circuit])

    def random(share: float) -> Circuit:
        chosen = rng.choice(len(universe), size=int(share * len(universe)), replace=False)
        return Circuit(edges=frozenset(universe[i] for i in chosen))

    def swept(senders: str, to: str, cached: bool) -> Callable[[], object]:
        graph = experiment.graph
        paths = []
        for sender in senders_of(senders, graph):
            single = [p for piece in to.split(";") for p in parse_path(f"{sender} {piece}", graph)]
            paths.append(single)
        bench = bench_for(experiment, weights, [p for some in paths for p in some], 0, None)
        if cached:
            bench.path_scores(paths)
            return lambda: bench.path_scores(paths)
        return lambda: bench_for(experiment, weights, [p for some in paths for p in some], 0, None).path_scores(paths)

    def plain() -> object:
        with torch.no_grad():
            return model(tokens, use_cache=False).logits

    half = random(0.5)
    into = "; ".join(f"-> 9.{h}.{c} {{arrow}} logits" for h in range(12) for c in "qkv")
    return {
        "plain": plain,
        "edge mask, half of 32,491 edges": masked(half),
        "edge mask, half of 32,491 edges, with both runs": anew(half),
        "edge mask, a tenth of the edges": masked(random(0.1)),
        "26 heads, by components": masked(named.at_level("components")),
        "26 heads, by edges": masked(named.at_level("edges")),
        "26 heads, by edges, with both runs": anew(named.at_level("edges")),
        "144 heads to the logits, direct, with both runs": swept("heads", "-> logits", False),
        "144 heads to the logits, direct, rows cached": swept("heads", "-> logits", True),
        "144 heads to the logits, through MLPs, with both runs": swept("heads", "~mlps~> logits", False),
        ALL_LIVE: swept("heads", "~all~> logits", False),
        "108 heads into q, k, v of layer 9, then to the logits": swept(
            "heads 0-8", into.replace("{arrow}", "->"), False
        ),
        "108 heads into q, k, v of layer 9, everything downstream live": swept(
            "heads 0-8", into.replace("{arrow}", "~all~>"), False
        ),
    }


def paired(data: Dataset) -> Dataset:
    """Each row's counterfactual is the next row."""
    rows = [
        {"tokens": r.tokens, "positions": r.positions, "columns": {**r.columns, "other": (i + 1) % len(data)}}
        for i, r in enumerate(data.rows)
    ]
    return Dataset.from_rows(rows)


def speed(vocabulary: int, only: str = "", rounds: int = ROUNDS) -> dict[str, float]:
    """CPU time of every case over that of a plain forward pass."""
    chosen = {name: run for name, run in cases(vocabulary).items() if only in name or name == "plain"}
    best = best_of(chosen, rounds)
    return {name: seconds / best["plain"] for name, seconds in best.items() if name != "plain"}


def memory() -> float:
    """The peak beyond the weights of one edge mask with its two runs, in GB, in a fresh process. Linux."""
    return in_fresh_process(__file__, "memory")


def peak_of_mask() -> float:
    """The same in this process: loaded, the counter started anew, run."""
    return growth(cases(5000, only="half")["edge mask, half of 32,491 edges"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    if "memory" in sys.argv:
        print(peak_of_mask())
        sys.exit()
    for name, ratio in speed(5000).items():
        print(f"{name:<65} {ratio:6.3f}  bound {BOUNDS[name]}")
