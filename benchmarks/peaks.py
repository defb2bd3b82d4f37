"""The memory that a test and criteria fill beyond the weights, as `scrub plan` says it and as it is measured. Linux.

python benchmarks/peaks.py                        # all, an hour
python benchmarks/peaks.py deep direct,mlps 1GB   # of one shape some claims under a bound

Random weights of GPT-2 small's size, a deep and narrow model, and of five layers for edges. Each claim is measured
in a copy of one process, in which the same was asked of few rows before: else the code of libraries, which a copy
reads anew, would be counted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from attrs import frozen
from measuring import growth
from transformers import GPT2Config, GPT2LMHeadModel

import scrub
from scrub import Dataset, Hypothesis, Interpretation, claim, heads, logits, protocol, recovers
from scrub.circuit.peak import PlannedCriteria
from scrub.model.bytes import Outlined
from scrub.model.memory import Memory, parse_memory
from scrub.model.resolve import sound
from scrub.model.transformer import adapt, bridge_of
from scrub.model.weights import Transformer
from scrub.verbs.costs import judged_circuit
from scrub.verbs.setup import references

V, DRAWS, RANDOM = 5000, 4, 10
BOUNDS = ("", "2GB", "1GB")
SHAPES = {
    "gpt2": {"n_embd": 768, "n_head": 12, "n_layer": 12},
    "deep": {"n_embd": 256, "n_head": 4, "n_layer": 24},
    "shallow": {"n_embd": 768, "n_head": 12, "n_layer": 5},
}
# Of edges GPT-2 small has 32,491, of which criteria ask one after another: hours; of five layers there are a sixth
OF = {"shallow": ("criteria of edges",)}
SITES = {"": ("3.1 3.2 5.0", "8.1 8.2 9.3"), "edges": ("1.1 1.2 2.0", "3.1 3.2 4.0")}


@frozen
class Case:
    """A claim with its settings, or a protocol of criteria, on so many rows of so many tokens."""

    setting: dict[str, Any]
    rows: int
    tokens: int
    level: str = ""  # of criteria

    def hypothesis(self, rows: int) -> Hypothesis:
        made = claim_of(self.setting, rows_of(rows, self.tokens), SITES[self.level if self.level in SITES else ""])
        return made.but(criteria=protocol(level=self.level)) if self.level else made

    def run(self, model: Transformer, rows: int, memory: str | None, few: bool = False) -> None:
        hypothesis = self.hypothesis(rows)
        if self.level:
            effort = {"random": 1, "budget": 1, "tests": False} if self.level == "edges" else {"random": RANDOM}
            scrub.criteria(hypothesis, model=model, memory=memory, **(effort | {"random": 2} if few else effort))
        else:
            scrub.test(hypothesis, model=model, draws=1 if few else DRAWS, explain=False, memory=memory)

    def planned(self, model: Transformer, memory: str | None) -> int:
        hypothesis = self.hypothesis(self.rows)
        if not self.level:
            peak = scrub.plan(hypothesis, model=model, draws=DRAWS, memory=memory).peak
        else:
            claim, source = sound(hypothesis, model, expecting=False)
            bound = Outlined(model.shape, Memory.on(None, parse_memory(memory)))
            planned = judged_circuit(claim, source, references(claim, None, 0), 0)
            peak = PlannedCriteria(*planned, bound, RANDOM).peak()
        assert peak is not None
        return peak.bytes


CASES = {
    "direct": Case({}, 160, 32), "direct at length": Case({}, 48, 256), "mlps": Case({"through": "mlps"}, 160, 16),
    "all": Case({"through": "all"}, 40, 32), "everywhere": Case({"at": "all"}, 40, 64),
    "criteria": Case({}, 64, 16, "components"), "criteria of edges": Case({}, 16, 16, "edges"),
}  # fmt: skip


def model_of(shape: str) -> Transformer:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=V, bos_token_id=0, eos_token_id=0, **SHAPES[shape])
    return adapt(bridge_of(GPT2LMHeadModel(config).eval(), "GPT2LMHeadModel"))


def rows_of(number: int, length: int) -> Dataset:
    rng, rows = np.random.default_rng(0), []
    for i in range(number):
        tokens = rng.integers(0, V, length).tolist()
        rows.append({
            "tokens": tokens, "positions": {"B": length // 2, "END": length - 1},
            "columns": {"x": i % 4, "label": tokens[-1], "other": tokens[0]},
        })  # fmt: skip
    return Dataset.from_rows(rows)


def claim_of(setting: dict[str, Any], data: Dataset, named: tuple[str, str] = SITES[""]) -> Hypothesis:
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
        "a": heads(named[0], at=at or "B"),
        "b": heads(named[1], at=at or "END").reads(q="", k="a", v="a"),
        "answer": logits("END").reads(input="b"),
    }
    made = claim(story, model="m", data=data, metric="logit_diff(label, other)", expect=recovers(0.5), **options)
    return made(lambda: sites)


def in_a_copy(run: Callable[[], None]) -> None:
    if (child := os.fork()) == 0:
        run()
        os._exit(0)
    os.waitpid(child, 0)


def told(shape: str, name: str, model: Transformer, memory: str | None) -> None:
    case = CASES[name]
    case.run(model, min(32, case.rows), None, few=True)
    measured = growth(lambda: case.run(model, case.rows, memory)) * 2**30
    planned = case.planned(model, memory)
    numbers = f"{planned / 1e6:.0f} | {measured / 1e6:.0f} | {planned / measured:.2f}"
    print(f"| {shape} | {name} | {case.rows} x {case.tokens} | {memory or ''} | {numbers} |", flush=True)


def some(place: int, every: tuple[Any, ...]) -> list[Any]:
    """What the command line names, or all."""
    given = sys.argv[place].split(",") if len(sys.argv) > place else []
    return given or list(every)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(
        "| shape | claim | rows | --memory | planned, MB | measured, MB | ratio |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    for shape in some(1, tuple(SHAPES)):
        weights = model_of(shape)
        for case in some(2, OF.get(shape, tuple(case for case in CASES if case not in OF["shallow"]))):
            for bound in some(3, BOUNDS):
                in_a_copy(partial(told, shape, case, weights, bound or None))
