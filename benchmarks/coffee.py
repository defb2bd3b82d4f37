"""The paper's evaluation of 26 heads at GPT-2 small's size: what `criteria` and `explain` cost.

python benchmarks/coffee.py        # about twelve minutes of CPU time; random weights, 16 and 32 rows of 16 tokens

A circuit-row is a circuit on one row. Those of a criterion are counted from the real claim; their CPU time, of one
thread, is measured on some of its circuits, each by itself (as a whole pass) and many together (what they have alike
computed once). The unit is one plain Hugging Face forward pass of one of these rows. Then each criterion is run
whole: with all 100 random circuits and parts, as of a claim that wins against nearly all, and stopped where it is
decided, as of this one, which wins against few; and effects alone (`--random 0`), as in the paper. An explanation is
of a claim that misses three heads. CPU minutes for 100 rows are those measured, times the rows. At last `scrub test`
of the file with its foil, as it is typed (`tested.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from attrs import frozen
from ioi import CLAIM, DRAWS, OTHERS, claim_of, copying, model_of, rows_of, set_up
from tested import told as tests

from scrub import Dataset
from scrub.circuit.bench import CircuitBench, ablatable
from scrub.circuit.circuit import Circuit
from scrub.circuit.completeness import completeness
from scrub.circuit.cost import forwards_of, passes_of, searched_circuits
from scrub.circuit.criteria import Effort, findings
from scrub.circuit.experiment import experiment_of
from scrub.circuit.faithfulness import faithfulness
from scrub.circuit.minimality import minimality
from scrub.circuit.random import random_circuits
from scrub.claims.collect import collect
from scrub.model.resolve import sound
from scrub.model.transformer import adapt, bridge_of
from scrub.score.cost import FULL
from scrub.score.explain import swap_effects
from scrub.score.giving import what_is_left_out
from scrub.score.listener import Listener
from scrub.score.sample import sample
from scrub.score.taken import Taken
from scrub.verbs.setup import references

SCORED, RANDOM, ALONE = 16, 20, 8  # rows, random parts whose circuits are run, circuits that are run by themselves
EXPLAINED, ASKED = 32, 100  # rows of an explanation, and those for which minutes are told


@frozen
class Measured:
    """CPU seconds of a circuit-row, of circuits by themselves and together."""

    alone: float
    together: float
    circuits: int


def data() -> Dataset:
    """As many rows of IOI as of ABC, in two templates of one layout."""
    rows = rows_of(2 * SCORED, 5000).rows
    columns = [{"is_ioi": i % 2 == 0, "is_abc": i % 2 == 1, "template": i // 2 % 2} for i in range(len(rows))]
    return Dataset.from_rows([
        {"tokens": r.tokens, "positions": r.positions, "columns": {**r.columns, **more}}
        for r, more in zip(rows, columns, strict=True)
    ])  # fmt: skip


def bench_of() -> tuple[CircuitBench, Circuit, float]:
    """The claim's circuit in its own protocol, and the CPU seconds of a plain forward pass of a row."""
    model = model_of(5000)
    weights = adapt(bridge_of(model, "GPT2LMHeadModel"))
    hypothesis = next(h for h in collect([f"{CLAIM}::ioi"]).hypotheses)
    claim, _ = sound(hypothesis.but(data=data()), weights, expecting=False)
    experiment = experiment_of(claim, np.flatnonzero(claim.scored), hypothesis.criteria, None)
    circuit = ablatable(Circuit.of_claim(claim).at_level("components"), experiment)
    tokens = torch.tensor([row.tokens for row in claim.data.rows])
    with torch.no_grad():
        model(tokens, use_cache=False)
        plain = seconds(lambda: model(tokens, use_cache=False)) / len(tokens)
    return CircuitBench.of(experiment, weights, circuit), circuit, plain


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def measured(bench: CircuitBench, circuits: Sequence[Circuit], without: bool) -> Measured:
    """The rows' own passes are made before."""
    bench.scores(circuits[:1], without)
    alone = sum(seconds(lambda c=c: bench.scores([c], without)) for c in circuits[:: len(circuits) // ALONE])
    count = len(circuits[:: len(circuits) // ALONE])
    together = seconds(lambda: bench.scores(circuits, without))
    rows = len(bench.rows)
    return Measured(alone / count / rows, together / len(circuits) / rows, len(circuits))


def criteria_parts(bench: CircuitBench, circuit: Circuit) -> Iterator[tuple[str, float]]:
    """CPU seconds of every criterion, the rows' own passes made before."""
    table: dict[str, np.ndarray] = {}
    yield "faithfulness", seconds(lambda: table.update(faithfulness(bench, circuit)[1]))
    yield "completeness", seconds(lambda: completeness(bench, circuit))
    for words, stop in (("all drawn", 0), ("stopped", None)):
        yield f"minimality, {words}", seconds(lambda stop=stop: minimality(bench, circuit, stop=stop))
        effort = Effort(stop=stop)
        yield f"tests, {words}", seconds(lambda effort=effort: findings(bench, circuit, table, effort))
    yield "minimality, effects alone", seconds(lambda: minimality(bench, circuit, random=0))
    yield "tests, effects alone", seconds(lambda: findings(bench, circuit, table, Effort(random=0)))


def explained_parts() -> Iterator[tuple[str, float]]:
    """CPU seconds of what an explanation consists of."""
    weights = adapt(bridge_of(copying(5000, OTHERS), "GPT2LMHeadModel"))
    bench = claim_of("mlps", rows_of(EXPLAINED, 5000), weights)
    start = time.process_time()
    bench = set_up(bench, weights)
    samples = sample(bench, references(bench.claim, None, 0), DRAWS, 0)
    yield "rows and own draws", time.process_time() - start
    yield "swaps", seconds(lambda: swap_effects(bench, samples, 0, Listener()))
    began = [("", time.process_time())]
    what_is_left_out(Taken(bench, samples, 0), FULL, lambda name, _: began.append((name, time.process_time())))
    for (name, at), (_, end) in pairwise([*began, ("", time.process_time())]):
        yield f"left out: {name or 'the first'}", end - at


def told(name: str, spent: float, rows: int, most: int = ASKED) -> float:
    """CPU minutes of 100 rows, of which at most so many are run."""
    minutes = spent / rows * most / 60
    print(f"{name:<36} {1000 * spent / rows:8.0f} ms a row {minutes:8.2f} min for {most} rows", flush=True)
    return minutes


def main() -> None:
    torch.set_num_threads(1)
    bench, circuit, plain = bench_of()
    searched = [Circuit.from_parts(parts) for parts in searched_circuits(bench, circuit, RANDOM)]
    knocked = random_circuits(circuit, bench.universe, 40, 0, outside=True)
    print(f"a plain forward pass of one row: {1000 * plain:.1f} ms")
    for one in forwards_of(bench, circuit, passes_of(bench, circuit)):
        share = (one.forwards or 0) / one.calls
        print(f"{one.name:<14} {one.bound or ''} {one.calls / SCORED:8,.0f} circuits of {share:.3f} passes")
    print("CPU ms of a circuit-row (forward passes)        alone          together")
    for name, circuits, without in (
        ("C \\ K, of minimality", searched, False), ("M \\ K, of partial necessity", knocked, True)
    ):  # fmt: skip
        found = measured(bench, circuits, without)
        shown = [f"{1000 * t:6.2f} ({t / plain:5.3f})" for t in (found.alone, found.together)]
        print(f"{name:<30} {found.circuits:6,} circuits  {'   '.join(shown)}")

    spent = {name: told(name, took, SCORED) for name, took in criteria_parts(bench, circuit)}
    for words in ("all drawn", "stopped", "effects alone"):
        minutes = sum(spent[name] for name in spent if name.endswith(words) or "," not in name)
        print(f"criteria, {words}: {minutes:.1f} min")
    screened = [told(name, took, EXPLAINED, 64 if "out" in name and "measured" not in name else ASKED)
                for name, took in explained_parts()]  # fmt: skip
    print(f"explain: {sum(screened):.1f} min")
    tests(5000)


if __name__ == "__main__":
    main()
