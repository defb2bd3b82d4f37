"""Scores of circuits in a run directory: criteria that were broken off go on from their blocks."""

from __future__ import annotations

import numpy as np
import torch
from attrs import astuple, evolve

from scrub.circuit.bench import CircuitBench
from scrub.claims.metric import NamedMetric
from scrub.errors import ScrubError
from scrub.metrics import find
from scrub.storage.blocks import Blocks
from scrub.storage.directory import Run
from scrub.storage.identity import identity, of_rooms, of_scrub
from scrub.storage.rows import weights_key


def keep_circuits(run: Run, bench: CircuitBench) -> CircuitBench:
    """The same bench, whose scores are kept in the directory of a run.

    Blocks say which circuits were run on which rows; all else that their numbers depend on is told here.
    """
    experiment, versions = bench.experiment, (of_scrub(), of_rooms("circuit"), torch.__version__, np.__version__)
    setting = (
        experiment.digest, *astuple(experiment.protocol), sorted(experiment.through), str(experiment.answer),
        str(experiment.output), experiment.data.identities, experiment.group, experiment.reference, experiment.pair,
        sorted(map(str, bench.passed)), sorted(map(str, bench.slots)), bench.seed,
    )  # fmt: skip
    depends = identity(*versions, *setting, *_computing(bench))
    made = run.blocks[0].made if run.blocks else set()
    run.blocks.append(Blocks(run.folder / "blocks", depends, run.recompute, made))
    return evolve(bench, keep=run.blocks[-1])


def _computing(bench: CircuitBench) -> list[object]:
    """What computes the numbers: weights, or the functions of a graph; and the metric, told by what it says."""
    graph, metric = bench.experiment.graph, bench.experiment.metric
    model: list[object] = [graph] if bench.model is None else [weights_key(bench.model)]
    named = [find(metric)] if isinstance(metric, NamedMetric) else []
    try:
        said = [] if named and bench.model is not None else [bench.model_scores]
    except ScrubError:  # told where they are asked for
        said = []
    return [*model, metric, bench.scorer.arguments(metric), *named, *said]
