"""Claims whose circuit is the whole truth about their compiled model, and what the three criteria say of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import scrub
from scrub import Circuit, Dataset, Hypothesis, embed, heads
from scrub.circuit.bench import CircuitBench
from scrub.circuit.criteria import Criteria
from scrub.circuit.experiment import experiment_of
from scrub.claims.collect import collect
from scrub.claims.protocol import Protocol
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.resolve import sound
from scrub.verbs.setup import references
from scrub.zoo import rows as zoo_rows

GALLERY = Path(__file__).parents[2] / "hypotheses"
ROWS, RANDOM, FEW = 16, 50, 4  # 0.9^50 times 9 parts is below 0.05: fewer random parts could show nothing
LABEL, SPARE, ASKS = "0.2 @ VALUE", "0.1 @ END", "0.0 @ END"


@cache
def claimed(name: str) -> Hypothesis:
    """A claim whose circuit is the whole truth about its compiled model."""
    if name != "induction":
        return collect([f"{GALLERY / f'{name}.py'}::{name}"]).hypotheses[0]
    [trained] = collect([f"{GALLERY / 'induction.py'}::induction"]).hypotheses
    return trained.but(
        model="zoo:compiled-induction",
        data=Dataset.from_rows(zoo_rows("compiled-induction", 300, 1)),
        first=embed("A1"),
        before=heads("0.0", at="B1").reads(v="first"),
        found=heads("1.0", at="END").reads(q="current", k="before", v="b"),
    )


def true(name: str, level: str = "components") -> Circuit:
    return Circuit.of(claimed(name)).at_level(level)


def less(name: str, names: str, level: str = "components") -> Circuit:
    return true(name, level) - Circuit.parse(names)


@cache
def judged(name: str, circuit: Circuit, ablation: str = "mean", random: int = FEW) -> Criteria:
    group = "length" if ablation == "resample" else None
    return scrub.criteria(claimed(name), circuit=circuit, rows=ROWS, random=random, ablation=ablation, group=group)


def bench_of(
    name: str, circuit: Circuit, seed: int = 0, ablation: str = "mean", data: Dataset | None = None
) -> CircuitBench:
    hypothesis = claimed(name) if data is None else claimed(name).but(data=data)
    claim, source = sound(hypothesis, expecting=False)
    rows = np.sort(references(claim, ROWS, 0))
    experiment = experiment_of(claim, rows, Protocol(ablation=ablation), source.tokenizer)
    return CircuitBench.of(experiment, open_weights(source, Backend(), claim.data), circuit, seed)


@cache
def table(name: str, circuit: Circuit, **given: Any) -> dict[str, Any]:
    return scrub.run_circuit(circuit, claimed(name), rows=ROWS, **given).table


def direct(name: str, circuit: Circuit, rows: np.ndarray, **given: Any) -> float:
    """The mean metric of one run on some of the rows."""
    found = table(name, circuit, **given)
    return float(np.mean([score for row, score in zip(found["row"], found["score"], strict=True) if row in rows]))
