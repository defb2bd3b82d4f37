"""What a test of a loaded model is made of, in forward passes of its rows: nothing is left out.

python benchmarks/whole.py            # about two minutes, at V = 5,000 and 50,257
python benchmarks/whole.py --small    # a vocabulary of 500, once

CPU time of one thread; the unit is one plain Hugging Face forward pass of the same 32 rows of 16 tokens, at GPT-2
small's size. The claim is `hypotheses/ioi.py`, 26 heads through MLPs, 20 draws.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import torch
from ioi import CLAIM, DRAWS, claim_of, model_of, rows_of, set_up
from measuring import best_of

import scrub
from scrub import Dataset
from scrub.claims.collect import collect
from scrub.engine.on_transformer import TransformerRows
from scrub.model.resolve import sound
from scrub.model.selfcheck import probe_data, self_check
from scrub.model.transformer import adapt, bridge_of
from scrub.model.weights import Transformer
from scrub.score.controls import shuffled
from scrub.score.judge import conclude
from scrub.score.sample import sample
from scrub.score.trial import Trial
from scrub.verbs.setup import model_record, references

ROWS = 32
ALONE = "its share alone"
TAKEN, CHECK, WHOLE, AGAIN = "adaption", "self-check", "a whole test, the first", "a whole test, another"


def parts_of(vocabulary: int, rounds: int = 2) -> dict[str, float]:
    """Every pass of a test by name, in forward passes."""
    hf, data = model_of(vocabulary), rows_of(ROWS, vocabulary)
    tokens = torch.tensor([row.tokens for row in data.rows])

    def forward() -> None:
        with torch.no_grad():
            hf(tokens, use_cache=False)

    # What is taken from a bridge is kept: every time is of a bridge of its own.
    fresh = [_bridge(hf) for _ in range(rounds + 4)]
    model = adapt(fresh.pop())
    runs = {"forward": forward, TAKEN: lambda: adapt(fresh.pop())}
    best = best_of(runs, rounds) | best_of(_passes(model, fresh[0], data), rounds) | _whole(fresh, data)
    unit = best.pop("forward")
    return {name: seconds / unit for name, seconds in best.items()}


def _bridge(hf: torch.nn.Module) -> object:
    """A bridge of its own around the same tensors: what is wrapped twice runs twice as many hooks."""
    tensors = [*hf.parameters(), *hf.buffers()]
    return bridge_of(copy.deepcopy(hf, {id(tensor): tensor for tensor in tensors}), "GPT2LMHeadModel")


def _passes(model: Transformer, bridge: object, data: Dataset) -> dict[str, Callable[[], object]]:
    """The passes one by one, on rows that have run."""
    bench = set_up(claim_of("mlps", data, model), model)
    used, trial = references(bench.claim, None, 0), Trial("ioi", DRAWS, 0)
    record = model_record(sound(bench.claim.hypothesis, model)[1], model, bench)
    samples = sample(bench, used, DRAWS, 0)
    compared = probe_data(model, data)
    return {
        CHECK: lambda: self_check(model, bridge, *compared),
        "one pass over the pool": lambda: TransformerRows.run(bench.claim, model, [bench.program]),
        f"{DRAWS} draws": lambda: sample(bench, used, DRAWS, 0),
        "intervals and bits": lambda: conclude(bench, samples, trial, record),
        "shuffled values, whatever the verdict": lambda: shuffled(bench, used, 0),
    }


def _whole(fresh: list[object], data: Dataset) -> dict[str, float]:
    """`scrub.test` on a bridge that nobody has asked yet, and on one that was."""
    hypothesis = next(h for h in collect([f"{CLAIM}::ioi"]).hypotheses).but(data=data, through="mlps")

    def test(bridge: object, **how: Any) -> None:
        scrub.test(hypothesis, model=bridge, draws=DRAWS, **how)

    known, alone = fresh.pop(0), {"controls": "none", "parts": "none", "explain": False}
    test(known, **alone)
    return best_of({
        f"{WHOLE}, {ALONE}": lambda: test(fresh.pop(), **alone), f"{AGAIN}, {ALONE}": lambda: test(known, **alone),
        WHOLE: lambda: test(fresh.pop()), AGAIN: lambda: test(known),
    }, 1)  # fmt: skip


def table(vocabularies: tuple[int, ...] = (5000, 50257)) -> list[str]:
    found = {f"V = {v:,}": parts_of(v) for v in vocabularies}
    lines = [f"| a test of a loaded model, in forward passes | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    names = next(iter(found.values()))
    return lines + [f"| {n} | {' | '.join(f'{column[n]:.3f}' for column in found.values())} |" for n in names]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("\n".join(table((500,) if "--small" in sys.argv else (5000, 50257))))
