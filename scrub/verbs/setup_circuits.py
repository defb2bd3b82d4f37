"""What the verbs of circuits and proposals share: settings made whole, circuits named, models opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.positions import parse_slots
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.metric import Metric, parse_metric
from scrub.claims.protocol import KEEP, Protocol
from scrub.claims.resolved import Claim
from scrub.claims.warn import token_warnings
from scrub.errors import ClaimError, DataError
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


@frozen(eq=False)
class GivenSetting:
    """The setting in which circuits are run, as it was given: a hypothesis', or a model with data and a metric.

    `at` is where logits are read without a hypothesis.
    """

    hypothesis: Hypothesis | None
    model: Any = None
    data: Dataset | None = None
    metric: str | Metric | None = None
    at: str | int = -1
    scored: str | None = None


@frozen(eq=False)
class AtHand:
    """A setting without a hypothesis that lacks nothing."""

    source: Source
    data: Dataset
    metric: str | Metric
    at: str | int
    scored: str | None


@frozen
class Sampling:
    """A seeded subset of this many rows (all by default), and draws for each (the ablation's own by default)."""

    rows: int | None
    seed: int
    draws: int | None


@frozen(eq=False)
class ReadyCircuit:
    """A circuit with what it is run on, what every result says of that, and the leaves whose upstream is kept."""

    circuit: Circuit
    experiment: Experiment
    weights: Transformer | None
    record: dict[str, Any]
    held: frozenset[Node] = frozenset()

    def bench(self, sampling: Sampling, done: Callable[[int], None]) -> CircuitBench:
        from scrub.circuit.bench import CircuitBench

        made = CircuitBench.of(self.experiment, self.weights, self.circuit, sampling.seed, sampling.draws)
        return evolve(made, done=done, held=self.held)


def complete(given: GivenSetting) -> AtHand:
    """A setting without a hypothesis. Raises ClaimError naming what it lacks, ModelError, DataError."""
    model, data, metric = given.model, given.data, given.metric
    if model is None or data is None or metric is None:
        lacking = [name for name, one in (("model", model), ("data", data), ("metric", metric)) if one is None]
        raise ClaimError(
            f"give a hypothesis, whose setting is used, or model=, data= and metric=; lacking: {', '.join(lacking)}."
        )
    source = spoken(find(model), data)
    if not len(data):
        raise DataError("the data set is empty: there is no row to run.")
    return AtHand(source, data, metric, given.at, given.scored)


def plain_experiment(at_hand: AtHand, protocol: Protocol) -> Experiment:
    """An experiment without a hypothesis. Raises DataError, ClaimError."""
    from scrub.circuit.experiment import resolve
    from scrub.circuit.universe import output_of

    graph, at, scored = at_hand.source.graph, at_hand.at, at_hand.scored
    answer = None if isinstance(graph, Computation) else parse_slots(at)[0]
    output = output_of(graph)
    return resolve(
        graph, at_hand.data, parse_metric(at_hand.metric), at_hand.source.tokenizer, protocol, answer=answer,
        output=output, rows=None, group=protocol.group, reference=protocol.reference, pair=protocol.pair,
        through=protocol.through or (), scored=scored, settings={"at": None if at == -1 else at, "scored": scored},
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


def warned_record(source: Source, weights: Transformer | None, experiment: Experiment) -> dict[str, Any]:
    """The same, with what warnings there are of the tokens of rows."""
    found = warnings_of_tokens(source, experiment)
    return record_of(source, weights, experiment.data) | ({"warnings": list(found)} if found else {})


def warnings_of_tokens(source: Source, experiment: Experiment) -> tuple[str, ...]:
    """What is worth a second look in the rows of a transformer, as a test says it."""
    if isinstance(source.graph, Computation):
        return ()
    return tuple(token_warnings(experiment.metric, experiment.data, source.tokenizer, experiment.answer))


def setting_of(
    circuit: CircuitLike, given: GivenSetting, sampling: Sampling, backend: Backend, protocol: dict[str, Any]
) -> ReadyCircuit:
    """A circuit (None: the empty one) made ready. Raises ClaimProblems, ClaimError, DataError, ModelError."""
    from scrub.circuit.arguments import counted, setting
    from scrub.circuit.circuit import Circuit

    rows, seed, hypothesis = sampling.rows, sampling.seed, given.hypothesis
    counted(rows=rows, draws=sampling.draws, seed=seed)
    setting(hypothesis, given.model, given.data)
    if hypothesis is not None:
        said_by_the_claim(data=given.data, metric=given.metric, scored=given.scored)
        claim, source = sound(hypothesis, given.model, expecting=False)
        named = Circuit() if circuit is None else named_circuit(claim, circuit)
        chosen = protocol_of(hypothesis.criteria, protocol)
        experiment, weights = loaded(claim, source, references(claim, rows, seed), chosen, backend)
        record = warned_record(source, weights, experiment)
        return ReadyCircuit(named, experiment, weights, record, held_of(claim, named, chosen))
    at_hand = complete(given)
    source, data = at_hand.source, at_hand.data
    chosen = protocol_of(Protocol(), protocol)
    if chosen.upstream == KEEP:
        raise ClaimError("upstream='keep' is about the leaves of a claim: give a hypothesis, or leave it out.")
    experiment = plain_experiment(at_hand, chosen)
    experiment = evolve(experiment, rows=subset(data, experiment.rows, rows, seed))
    weights = weights_of(source, data, backend)
    named = Circuit() if circuit is None else parsed(circuit, experiment.graph)
    return ReadyCircuit(named, experiment, weights, warned_record(source, weights, experiment))


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
