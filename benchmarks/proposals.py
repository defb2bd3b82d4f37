"""Proposals at GPT-2 small's size, as ratios to a plain forward pass in the same run, and their memory.

CPU time of one thread, the minimum over interleaved rounds; 16 rows of 16 tokens with their counterfactuals. Both
runs, the gradients and the estimates for every row are included. The unit is one plain Hugging Face forward pass of
the same rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from circuits import paired
from ioi import model_of, rows_of
from measuring import best_of, growth, in_fresh_process

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.experiment import resolve
from scrub.claims.metric import parse_metric
from scrub.claims.protocol import Protocol
from scrub.model.transformer import adapt, bridge_of
from scrub.proposals.methods import Asked, find
from scrub.proposals.nodes import KINDS
from scrub.proposals.setup import Setup

ROUNDS = 5
ATP, QKFIX = "AtP, all nodes and neurons", "QK fix, beyond AtP"
EAP, EAP_IG = "EAP, 32,491 edges", "EAP-IG, five steps"
BOUNDS = {ATP: 3.3, "RelP, all nodes and neurons": 3.3, QKFIX: 0.5, EAP: 4.8, EAP_IG: 21.0}
PEERS = {EAP: "23 to 63", EAP_IG: "138 to 228"}
MEMORY, PEER_MEMORY = 1.0, "up to 5.4"


def cases(vocabulary: int) -> dict[str, Callable[[], object]]:
    """What is timed, and the plain forward pass it is compared with."""
    model, data = model_of(vocabulary), paired(rows_of(16, vocabulary))
    tokens = torch.tensor([row.tokens for row in data.rows])
    weights = adapt(bridge_of(model, "GPT2LMHeadModel"))
    experiment = resolve(
        TransformerGraph("gpt2", weights.shape), data, parse_metric("logit_diff(io, s1)"), None,
        Protocol(ablation="paired", pair="other"), answer=Slot("END"), output=Component("logits"), rows=None,
        group=None, reference=None, pair="other", through=(),
    )  # fmt: skip

    def setup() -> Setup:
        return Setup.of(experiment, weights, experiment.pair, ())

    def nodes(name: str) -> Callable[[], object]:
        method = find(name)
        return lambda: method.nodes(setup().batch(np.arange(16)), Asked(KINDS, method.rules))

    def edges(name: str) -> Callable[[], object]:
        method = find(name)
        assert method.edges is not None
        estimate = method.edges
        return lambda: estimate(setup().batch(np.arange(16)), Asked(KINDS, method.rules, steps=5))

    def plain() -> object:
        with torch.no_grad():
            return model(tokens, use_cache=False).logits

    return {
        "plain": plain, ATP: nodes("atp"), "RelP, all nodes and neurons": nodes("relp"), QKFIX: nodes("qkfix"),
        EAP: edges("eap"), EAP_IG: edges("eap-ig"),
    }  # fmt: skip


def speed(vocabulary: int, rounds: int = ROUNDS) -> dict[str, float]:
    """CPU time of every case over that of a plain forward pass; the QK fix is what it adds to AtP."""
    best = best_of(cases(vocabulary), rounds)
    found = {name: seconds / best["plain"] for name, seconds in best.items() if name != "plain"}
    return found | {QKFIX: found[QKFIX] - found[ATP]}


def memory(name: str) -> float:
    """The peak beyond the weights of one case, in GB, in a fresh process. Linux."""
    return in_fresh_process(__file__, "memory", name)


def peak_of(name: str) -> float:
    """The same in this process: loaded, the counter started anew, run."""
    return growth(cases(5000)[name])


if __name__ == "__main__":
    torch.set_num_threads(1)
    if "memory" in sys.argv:
        print(peak_of(sys.argv[-1]))
        sys.exit()
    for name, ratio in speed(5000).items():
        print(f"{name:<35} {ratio:6.3f}  bound {BOUNDS[name]}")
    for name in (ATP, EAP, EAP_IG):
        print(f"{name:<35} {memory(name):6.2f} GB  bound {MEMORY}")
