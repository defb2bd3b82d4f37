"""The IOI claim on a random model of GPT-2 small's size, as ratios to a plain forward pass in the same run.

CPU time of one thread, the minimum over interleaved rounds. The unit is one plain Hugging Face forward pass of
the same 16 rows of 16 tokens. Planning and metric are included, the row cache apart.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from attrs import evolve
from measuring import best_of, growth, in_fresh_process, products
from transformers import GPT2Config, GPT2LMHeadModel

from scrub import Dataset
from scrub.claims.collect import collect
from scrub.engine.draw import all_swaps
from scrub.engine.on_transformer import TransformerRows
from scrub.engine.plan import compile_tree
from scrub.engine.without import bare
from scrub.model.resolve import sound
from scrub.model.transformer import adapt, bridge_of
from scrub.model.weights import Transformer
from scrub.score.cost import QUICK, Budget
from scrub.score.explain import quick_effects
from scrub.score.giving import what_is_left_out
from scrub.score.measure import TransformerAnswers
from scrub.score.parts import what_parts_earn
from scrub.score.sample import ClaimBench, compile_claim, sample
from scrub.score.taken import Taken
from scrub.score.trial import Trial
from scrub.verbs.setup import OpenedModel, references
from scrub.verbs.verdict import judged

ROOT = Path(__file__).resolve().parents[1]
CLAIM = ROOT / "hypotheses" / "ioi.py"
CLAIMED, OTHERS = ((9, 6), (9, 9), (10, 0)), ((9, 1), (9, 2), (10, 3))  # heads; a verdict: supported, refuted
LENGTH, DRAWS, ROUNDS = 16, 20, 5


def model_of(vocabulary: int) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, bos_token_id=0, eos_token_id=0)).eval()


def rows_of(number: int, vocabulary: int) -> Dataset:
    """Random tokens with an IO, an S1 and an S2 that repeats S1."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(number):
        tokens = rng.integers(0, vocabulary, LENGTH).tolist()
        tokens[10] = tokens[4]
        rows.append({
            "tokens": tokens,
            "positions": {"IO": 2, "S1": 4, "S2": 10, "END": LENGTH - 1},
            "columns": {"io": tokens[2], "s1": tokens[4], "s2": tokens[10], "is_ioi": True},
        })  # fmt: skip
    return Dataset.from_rows(rows)


def claim_of(through: str | None, data: Dataset, weights: Transformer) -> ClaimBench:
    """The gallery's claim on other rows and weights; `rows` are run by the caller."""
    hypothesis = next(h for h in collect([f"{CLAIM}::ioi"]).hypotheses)
    claim, _ = sound(hypothesis.but(data=data, through=through), weights)
    tree, program = compile_claim(claim)
    return ClaimBench(claim, tree, program, None, None)


def set_up(bench: ClaimBench, weights: Transformer) -> ClaimBench:
    rows = TransformerRows.run(bench.claim, weights, [bench.program])
    return evolve(bench, rows=rows, measured=TransformerAnswers(bench.claim, rows))


def speed(vocabulary: int) -> dict[str, tuple[float, float]]:
    """Ratios to a plain forward pass, by name: of CPU time, and of the multiplications in it."""
    hf = model_of(vocabulary)
    weights = adapt(bridge_of(model_of(vocabulary), "GPT2LMHeadModel"))
    data = rows_of(16, vocabulary)
    tokens = torch.tensor([row.tokens for row in data.rows])
    benches = {
        name: set_up(claim_of(through, data, weights), weights)
        for name, through in (("direct", None), ("mlps", "mlps"))
    }
    used = references(benches["direct"].claim, None, 0)

    def forward() -> None:
        with torch.no_grad():
            hf(tokens, use_cache=False)

    runs: dict[str, Callable[[], object]] = {"forward": forward}
    for name, bench in benches.items():
        runs[f"{name}, {DRAWS} draws"] = lambda bench=bench: sample(bench, used, DRAWS, 0)
        runs[f"{name}, one draw"] = lambda bench=bench: sample(bench, used, 1, 0)
        runs[f"{name}, row cache"] = lambda bench=bench: set_up(bench, weights)
    best, counted = best_of(runs, ROUNDS), {name: products(run) for name, run in runs.items()}
    unit, multiplied = best.pop("forward"), counted.pop("forward")
    per = {name: DRAWS if name.endswith("draws") else 1 for name in best}
    return {name: (value / unit / per[name], counted[name] / multiplied / per[name]) for name, value in best.items()}


def copying(vocabulary: int, moves: tuple[tuple[int, int], ...]) -> GPT2LMHeadModel:
    """A random model in which some heads attend from END to IO and write the token there."""
    model, wide = model_of(vocabulary), 64
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        core = model.transformer
        for block in core.h:  # all else writes little
            block.attn.c_proj.weight *= 0.05
            block.mlp.c_proj.weight *= 0.05
        core.wpe.weight[[2, LENGTH - 1]] = torch.nn.functional.normalize(
            torch.randn(2, core.config.n_embd, generator=rng), dim=1
        )
        from_end, to_io = core.wpe.weight[LENGTH - 1], core.wpe.weight[2]
        for layer, head in moves:
            attn, own = core.h[layer].attn, slice(wide * head, wide * (head + 1))
            queries, keys, values = attn.c_attn.weight.split(core.config.n_embd, dim=1)
            seen = torch.randn(core.config.n_embd, wide, generator=rng) / core.config.n_embd**0.5
            queries[:, own] = keys[:, own] = 0
            queries[:, own.start], keys[:, own.start] = from_end, to_io
            values[:, own] = seen
            attn.c_proj.weight[own] = 4 * seen.T
    return model


def passes_beside(model: GPT2LMHeadModel, vocabulary: int) -> dict[str, float]:
    """What a test costs beside the claim's own draws, in units of these: 26 heads through MLPs, rows cached.

    Every pass is made, whatever the verdict: no test makes more of them. Of 32 rows, since a verdict takes 30.
    """
    weights = adapt(bridge_of(model, "GPT2LMHeadModel"))
    bench = claim_of("mlps", rows_of(32, vocabulary), weights)
    rows = TransformerRows.run(bench.claim, weights, [bench.program, compile_tree(bench.claim, *bare(bench.tree))])
    bench = evolve(bench, rows=rows, measured=TransformerAnswers(bench.claim, rows))
    opened, trial = OpenedModel(sound(bench.claim.hypothesis, weights)[1], weights), Trial("ioi", DRAWS, 0)
    used = references(bench.claim, None, 0)
    samples = sample(bench, used, DRAWS, 0)
    budget = Budget.of(all_swaps(bench.tree, bench.claim), len(used), DRAWS)
    runs: dict[str, Callable[[], object]] = {
        "own": lambda: sample(bench, used, DRAWS, 0),
        "story, intervals, shuffled values": lambda: judged(bench, samples, trial, opened),
        "what parts earn": lambda: what_parts_earn(Taken(bench, samples, 0)),
        "what breaks it": lambda: quick_effects(bench, samples, budget, 0),
        "what it leaves out": lambda: what_is_left_out(Taken(bench, samples, 0), QUICK),
    }
    best = best_of(runs, 2)
    own = best.pop("own")
    return {name: value / own for name, value in best.items()} | {"together": sum(best.values()) / own}


def memory(through: str) -> None:
    """Print the peak of memory beyond the weights for 1,000 rows and 20 draws, in GB. Linux, in a fresh process."""
    torch.set_num_threads(1)
    weights = adapt(bridge_of(model_of(5000), "GPT2LMHeadModel"))
    data = rows_of(1000, 5000)

    def test() -> None:
        bench = set_up(claim_of(through or None, data, weights), weights)
        sample(bench, references(bench.claim, None, 0), DRAWS, 0)

    print(growth(test))


def peak(through: str) -> float:
    """`memory` in a fresh process."""
    return in_fresh_process(__file__, through)


if __name__ == "__main__":
    memory(sys.argv[1])
