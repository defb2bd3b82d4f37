"""What the verbs of circuits and proposals share: settings made whole, models opened, what results record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve

from scrub.anatomy.positions import parse_slots
from scrub.claims.dataset import Dataset
from scrub.claims.metric import Metric, parse_metric
from scrub.claims.protocol import Protocol
from scrub.claims.resolved import Claim
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.source import Source, find
from scrub.verbs.setup import model_record, weights_of

if TYPE_CHECKING:
    from scrub.circuit.experiment import Experiment
    from scrub.model.weights import Transformer


def said_by_the_claim(**given: Any) -> None:
    """Raises ClaimError for arguments that a hypothesis says itself."""
    if unused := [f"{name}=" for name, value in given.items() if value is not None]:
        raise ClaimError(f"{', '.join(unused)}: the hypothesis says these; use hypothesis.but(...) to change them.")


def complete(model: Any, data: Dataset | None, metric: str | Metric | None) -> tuple[Source, Dataset, str | Metric]:
    """A setting without a hypothesis. Raises ClaimError naming what it lacks, ModelError."""
    if model is None or data is None or metric is None:
        lacking = [name for name, given in (("model", model), ("data", data), ("metric", metric)) if given is None]
        raise ClaimError(
            f"give a hypothesis, whose setting is used, or model=, data= and metric=; lacking: {', '.join(lacking)}."
        )
    return find(model), data, metric


def plain_experiment(
    source: Source, data: Dataset, metric: str | Metric, at: str | int, scored: str | None, protocol: Protocol,
) -> Experiment:  # fmt: skip
    """An experiment without a hypothesis; `at` is where logits are read. Raises DataError, ClaimError."""
    from scrub.circuit.experiment import resolve
    from scrub.circuit.universe import output_of

    graph = source.graph
    answer = None if isinstance(graph, Computation) else parse_slots(at)[0]
    output = output_of(graph)
    return resolve(
        graph, data, parse_metric(metric), source.tokenizer, protocol, answer=answer, output=output, rows=None,
        group=protocol.group, reference=protocol.reference, pair=protocol.pair, through=protocol.through or (),
        scored=scored, settings={"at": None if at == -1 else at, "scored": scored},
    )  # fmt: skip


def loaded(
    claim: Claim, source: Source, rows: np.ndarray, protocol: Protocol, device: str | None, dtype: str
) -> tuple[Experiment, Transformer | None]:
    """The experiment of a claim, and its weights. Raises DataError, ClaimError, ModelError."""
    from scrub.circuit.experiment import experiment_of

    experiment = experiment_of(claim, rows, protocol, source.tokenizer)
    return experiment, weights_of(source, claim.data, device, dtype)


def protocol_of(own: Protocol, given: dict[str, Any]) -> Protocol:
    """A claim's protocol with the words that were given. Raises ClaimError for unknown ones."""
    from scrub.circuit.arguments import names
    from scrub.claims.protocol import protocol

    if given.get("through") is not None:
        names(given["through"], "components to pass through", "'mlps'")
    protocol(**given)  # unknown words are told at once
    return evolve(own, **{name: value for name, value in given.items() if value is not None})


def record_of(source: Source, weights: Transformer | None, data: Dataset) -> dict[str, Any]:
    """What every result says of data, model and versions."""
    from scrub.score.judge import provenance

    return provenance(data, model_record(source, weights, data=data))
