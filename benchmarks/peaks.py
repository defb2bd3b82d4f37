"""The memory that a test fills beyond the weights, as `scrub plan` says it and as it is measured. Linux.

python benchmarks/peaks.py    # a minute

Random weights of GPT-2 small's size; each claim is measured in a copy of one process in which a test ran before, so
that modules that are imported late are not counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ioi import model_of
from measuring import growth

import scrub
from scrub import Dataset, Hypothesis, Interpretation, claim, heads, logits, recovers
from scrub.model.transformer import adapt, bridge_of
from scrub.model.weights import Transformer

V, DRAWS = 5000, 4
CASES: dict[str, tuple[dict[str, Any], int, int]] = {  # settings, rows, tokens
    "direct": ({}, 400, 32), "mlps": ({"through": "mlps"}, 200, 16), "all": ({"through": "all"}, 40, 32),
    "everywhere": ({"at": "all"}, 40, 64),
}  # fmt: skip


def rows_of(number: int, length: int) -> Dataset:
    rng, rows = np.random.default_rng(0), []
    for i in range(number):
        tokens = rng.integers(0, V, length).tolist()
        rows.append({
            "tokens": tokens, "positions": {"B": length // 2, "END": length - 1},
            "columns": {"x": i % 4, "label": tokens[-1], "other": tokens[0]},
        })  # fmt: skip
    return Dataset.from_rows(rows)


def claim_of(setting: dict[str, Any], data: Dataset) -> Hypothesis:
    story, options = Interpretation(), dict(setting)
    at = options.pop("at", None)

    @story.variable
    def a(x: Any) -> Any:
        return x

    @story.variable
    def b(a: Any) -> Any:
        return a

    @story.variable
    def answer(b: Any) -> Any:
        return b

    sites = {
        "a": heads("3.1 3.2 5.0", at=at or "B"),
        "b": heads("8.1 8.2 9.3", at=at or "END").reads(q="", k="a", v="a"),
        "answer": logits("END").reads(input="b"),
    }
    made = claim(story, model="m", data=data, metric="logit_diff(label, other)", expect=recovers(0.5), **options)
    return made(lambda: sites)


def in_a_copy(run: Callable[[], None]) -> None:
    if (child := os.fork()) == 0:
        run()
        os._exit(0)
    os.waitpid(child, 0)


def told(name: str, model: Transformer) -> None:
    setting, rows, length = CASES[name]
    hypothesis = claim_of(setting, rows_of(rows, length))
    measured = growth(lambda: scrub.test(hypothesis, model=model, draws=DRAWS, explain=False)) * 2**30
    peak = scrub.plan(hypothesis, model=model, draws=DRAWS).peak
    assert peak is not None
    print(f"| {name} | {peak.bytes / 1e6:.0f} | {measured / 1e6:.0f} | {peak.bytes / measured:.2f} |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    weights = adapt(bridge_of(model_of(V), "GPT2LMHeadModel"))
    scrub.test(claim_of({}, rows_of(40, 12)), model=weights, draws=DRAWS, explain=False)
    print("| claim | planned, MB | measured, MB | ratio |\n|---|---|---|---|", flush=True)
    for case in CASES:
        in_a_copy(lambda case=case: told(case, weights))
