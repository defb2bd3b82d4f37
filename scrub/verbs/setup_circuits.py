"""What the verbs of circuits and proposals share: settings made whole, circuits named, models opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve

from scrub.anatomy.positions import parse_slots
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.metric import Metric, parse_metric
from scrub.claims.protocol import KEEP, Protocol
from scrub.claims.resolved import Claim
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.memory import Backend
from scrub.model.resolve import sound, spoken
from scrub.model.source import Source, find
from scrub.verbs.setup import model_record, references, subset, weights_of

if TYPE_CHECKING:
    from scrub.anatomy.edges import Node
    from scrub.circuit.bench import CircuitBench
    from scrub.circuit.circuit import Circuit
    from scrub.circuit.experiment import Experiment
    from scrub.model.weights import Transformer

CircuitLike = Any  # a Circuit, names of parts, or a hypothesis


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
    return spoken(find(model), data), data, metric


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
    claim: Claim, source: Source, rows: np.ndarray, protocol: Protocol, backend: Backend
) -> tuple[Experiment, Transformer | None]:
    """The experiment of a claim, and its weights. Raises DataError, ClaimError, ModelError."""
    from scrub.circuit.experiment import experiment_of

    experiment = experiment_of(claim, rows, protocol, source.tokenizer)
    return experiment, weights_of(source, claim.data, backend)


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


def setting_of(
    circuit: CircuitLike, hypothesis: Hypothesis | None, model: Any, data: Dataset | None,
    metric: str | Metric | None, at: str | int, scored: str | None, rows: int | None, seed: int,
    draws: int | None, backend: Backend, protocol: dict[str, Any],
) -> tuple[Experiment, Transformer | None, Circuit, dict[str, Any], frozenset[Node]]:  # fmt: skip
    from scrub.circuit.arguments import counted, setting
    from scrub.circuit.circuit import Circuit

    counted(rows=rows, draws=draws, seed=seed)
    setting(hypothesis, model, data)
    if hypothesis is not None:
        said_by_the_claim(data=data, metric=metric, scored=scored)
        claim, source = sound(hypothesis, model, expecting=False)
        named = Circuit() if circuit is None else named_circuit(claim, circuit)
        chosen = protocol_of(hypothesis.criteria, protocol)
        experiment, weights = loaded(claim, source, references(claim, rows, seed), chosen, backend)
        record = record_of(source, weights, claim.data)
        return experiment, weights, named, record, held_of(claim, named, chosen)
    source, data, metric = complete(model, data, metric)
    chosen = protocol_of(Protocol(), protocol)
    if chosen.upstream == KEEP:
        raise ClaimError("upstream='keep' is about the leaves of a claim: give a hypothesis, or leave it out.")
    experiment = plain_experiment(source, data, metric, at, scored, chosen)
    experiment = evolve(experiment, rows=subset(data, experiment.rows, rows, seed))
    weights = weights_of(source, data, backend)
    named = Circuit() if circuit is None else parsed(circuit, experiment.graph)
    return experiment, weights, named, record_of(source, weights, data), frozenset()


def own_way(protocol: dict[str, Any]) -> None:
    if protocol.get("through") is not None:
        raise ClaimError("through=: paths say themselves what they pass through, '9.9 ~mlps~> logits'.")
    if protocol.get("upstream") is not None:
        raise ClaimError("upstream=: nothing that feeds a path is ablated, so that there is nothing to keep.")


def held_of(claim: Claim, circuit: Circuit, protocol: Protocol) -> frozenset[Node]:
    """The leaves whose upstream is kept. Raises ClaimError where nothing could be."""
    from scrub.circuit.claimed import leaves_of

    if protocol.upstream != KEEP:
        return frozenset()
    if protocol.direction == "denoising":
        raise ClaimError(
            "upstream='keep': under denoising a circuit's parts have the values of the model's own run already: "
            "leave it out."
        )
    return leaves_of(claim, (*circuit.nodes, *circuit.edges))


def named_circuit(claim: Claim, circuit: CircuitLike) -> Circuit:
    from scrub.circuit.circuit import Circuit

    return Circuit.of_claim(claim) if circuit is None else parsed(circuit, claim.graph)


def parsed(circuit: CircuitLike, graph: Any) -> Circuit:
    from scrub.circuit.arguments import kind_of, names
    from scrub.circuit.circuit import Circuit

    if isinstance(circuit, Hypothesis):
        return Circuit.of(circuit)
    if not isinstance(circuit, Circuit | str | list | tuple | set | frozenset):
        shown = kind_of(circuit)
        raise ClaimError(f"{shown} is no circuit: give a Circuit, or names such as '9.6 @ END, 9.9 @ END'.")
    if isinstance(circuit, Circuit):
        return circuit
    names(circuit, "parts", "'9.6 @ END'")
    return Circuit.parse(circuit, graph)


def bench_for_circuits(
    experiment: Experiment, weights: Transformer | None, circuit: Circuit, seed: int, draws: int | None,
    done: Callable[[int], None], held: frozenset[Node] = frozenset(),
) -> CircuitBench:  # fmt: skip
    from scrub.circuit.bench import CircuitBench

    return evolve(CircuitBench.of(experiment, weights, circuit, seed, draws), done=done, held=held)
