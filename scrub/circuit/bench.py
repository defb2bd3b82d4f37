"""Circuits of one experiment, run and scored: `CircuitBench.scores(circuits)` is what every criterion is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, field, frozen
from jaxtyping import Float, Int

from scrub.anatomy.edges import Node, Part
from scrub.anatomy.names import POS, Component
from scrub.anatomy.positions import Slot
from scrub.circuit.ablations import drawing, said
from scrub.circuit.circuit import Circuit
from scrub.circuit.ends import ends_of, of_attention
from scrub.circuit.experiment import Experiment, misplaced, referred
from scrub.circuit.paths import Path
from scrub.circuit.random import held_beside
from scrub.circuit.universe import Graph, Universe, free_writers, slots_in
from scrub.claims.metric import AnyMetric
from scrub.engine.draw import Calls
from scrub.errors import ClaimError
from scrub.model.workers import Task
from scrub.score.blocks import Arrays, Keep, NumberBlock, gathered, keep_nothing, key

if TYPE_CHECKING:
    from scrub.circuit.on_graph import GraphCircuits
    from scrub.circuit.on_transformer import TransformerCircuits
    from scrub.circuit.scoring import Scorer
    from scrub.model.weights import Transformer

Scores = Float[np.ndarray, "circuit row"]
# Circuits of a block, kept or not: what a run that is killed loses, and what shares what it has alike
KEPT_AT_ONCE = 256


@frozen(slots=False, eq=False)
class CircuitBench:
    """An experiment with its model, for circuits whose positions are among `slots`.

    `done` is told how many calls are finished. `held` nodes have the value of the model's own run, wherever they are
    kept: what feeds them is never ablated. `keep` is asked for every block of scores before it is computed.
    """

    experiment: Experiment
    model: Transformer | None
    slots: tuple[Slot, ...]
    passed: frozenset[Component]
    seed: int = 0
    draws: int = 1
    done: Callable[[int], None] = field(default=lambda n: None, repr=False)
    held: frozenset[Node] = frozenset()
    keep: Keep = field(default=keep_nothing, repr=False)

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        model: Transformer | None,
        circuit: Circuit,
        seed: int = 0,
        draws: int | None = None,
    ) -> CircuitBench:
        """The bench for a circuit and its parts.

        Raises ClaimError for parts or positions that do not exist, and for too small a memory.
        """
        circuit.checked(experiment.graph)
        slots = slots_in((*circuit.nodes, *circuit.edges))
        if wrong := misplaced(experiment.data, slots, _used(experiment)):
            raise ClaimError("\n".join(wrong))
        named = {n.component for n in circuit.nodes} | {e.sender for e in circuit.edges}
        passed = experiment.named_through
        if experiment.graph.sequence and POS not in named:
            passed |= {POS}
        listed = cls(experiment, model, slots, passed, seed, _draws(experiment, draws))
        _refuse_passed(circuit, experiment, passed - {POS})
        if model is not None:
            from scrub.circuit.sizes import CircuitSizes

            model.memory.hold(CircuitSizes.of(model, experiment).pieces(len(listed.calls)))
        return listed

    @property
    def rows(self) -> Int[np.ndarray, " row"]:
        return self.experiment.rows

    @cached_property
    def calls(self) -> Calls:
        rows, draws = self.rows, np.arange(self.draws)
        return Calls(np.repeat(rows, self.draws), np.tile(draws, len(rows)))

    @cached_property
    def runner(self) -> TransformerCircuits | GraphCircuits:
        from scrub.circuit.on_graph import GraphCircuits
        from scrub.circuit.on_transformer import TransformerCircuits

        donors = self.experiment.donors(self.calls, self.seed)
        if self.model is None:
            return evolve(
                GraphCircuits.of(self.experiment, self.calls, donors, self.passed, self.held), done=self.done
            )
        settings = self.slots, self.passed, self.done, self.held
        return TransformerCircuits(self.experiment, self.model, self.calls, donors, *settings)

    @cached_property
    def scorer(self) -> Scorer:
        from scrub.circuit.scoring import Scorer

        return Scorer(self.experiment, self.model)

    @property
    def universe(self) -> Universe:
        return Universe(self.experiment.graph, self.passed, self.experiment.output)

    @cached_property
    def everything(self) -> Circuit:
        """The model as a circuit of components: every part that is not passed through."""
        return Circuit.from_parts(Node(c) for c in free_writers(self.experiment.graph, self.passed))

    @cached_property
    def own(self) -> Any:
        """The model's own outputs, as those of one circuit: one for each call."""
        return self.runner.components([self.everything], noising=True)

    @cached_property
    def model_scores(self) -> Float[np.ndarray, " row"]:
        return self.scored(self.own)[0]

    def outputs(self, circuits: Sequence[Circuit], without: bool = False) -> Any:
        """The outputs of circuits, or of the model without each (M \\ K); an empty one is run by components."""
        if not any(circuit.edges for circuit in circuits):
            return self.runner.components(circuits, without=without)
        return self.runner.edges(circuits, without=without)

    def scores(self, circuits: Sequence[Circuit], without: bool = False) -> Scores:
        """The metric of each circuit, or of the model without it, on each row: a mean over draws."""
        if not circuits:
            return self._computed(circuits, without)
        pieces = (circuits[i : i + KEPT_AT_ONCE] for i in range(0, len(circuits), KEPT_AT_ONCE))
        return gathered(self.keep, (self._block(some, without) for some in pieces))["scores"]

    def _computed(self, circuits: Sequence[Circuit], without: bool) -> Scores:
        return self._pieces(circuits, lambda some: self.outputs(some, without))

    def _block(self, circuits: Sequence[Circuit], without: bool) -> NumberBlock:
        return NumberBlock(partial(_key, self, circuits, without), Task(self, _scores, (circuits, without)))

    def _pieces(self, items: Sequence[Any], run: Callable[[Sequence[Any]], Any]) -> Scores:
        """The scores of what is run, as many circuits or sets of paths at a time as the memory holds outputs of."""
        size = self.runner.together
        return np.concatenate([self.scored(run(items[i : i + size])) for i in range(0, max(len(items), 1), size)])

    def on(self, rows: Int[np.ndarray, " n"]) -> CircuitBench:
        """The same bench on some of its rows."""
        return evolve(self, experiment=evolve(self.experiment, rows=rows))

    def let_go(self) -> None:
        """What is kept of the model on its calls goes, so that other benches have the memory; it is found again."""
        if self.model is not None and "runner" in self.__dict__:
            self.__dict__["runner"].let_go()

    def beside(self, circuit: Circuit) -> CircuitBench:
        """The bench for random parts in place of a circuit's: those no later than its held ones are held as well."""
        held = held_beside(circuit, self.universe, self.held)
        return self if held == self.held else evolve(self, held=held)

    def path_scores(self, path_sets: Sequence[Sequence[Path]]) -> Scores:
        """The metric with each set of paths patched, on each row."""
        return self._pieces(path_sets, self.runner.paths)

    def scored(self, outputs: Any, metric: AnyMetric | None = None) -> Scores:
        """The metric (the experiment's own by default) of outputs on each row: a mean over draws."""
        count = len(outputs)
        rows = np.tile(self.calls.reference, count)
        flat = outputs.flatten(0, 1) if self.model is not None else [x for some in outputs for x in some]
        found = self.scorer.score(flat, rows, lambda: self._own(count), metric or self.experiment.metric)
        return found.reshape(count, -1, self.draws).mean(2)

    def _own(self, times: int) -> Any:
        """The model's own outputs, over and over: beside those of several circuits."""
        return self.own[0].repeat(times, 1) if self.model is not None else list(self.own[0]) * times


def _scores(bench: CircuitBench, circuits: Sequence[Circuit], without: bool) -> Arrays:
    return {"scores": bench._computed(circuits, without)}  # pyright: ignore[reportPrivateUsage]


def _key(bench: CircuitBench, circuits: Sequence[Circuit], without: bool) -> str:
    """What was run, and on which rows; what all runs of a bench owe to is said by who keeps them."""
    listed = [" ".join(sorted(map(_whole, circuit.parts))) for circuit in circuits]
    held = " ".join(sorted(map(str, bench.held)))
    return key("circuits", f"{without} {bench.draws}", held, bench.experiment.data.identities[bench.rows], *listed)


def _whole(part: Part) -> str:
    """A text that tells parts apart."""
    return " ".join([str(part), *(end.part.canonical for end in ends_of(part) if end.part is not None)])


def ablatable(circuit: Circuit, experiment: Experiment) -> Circuit:
    """A claim's circuit without the parts that are passed through: nothing can be asked of these."""
    passed = experiment.named_through
    gone = frozenset(part for part in (*circuit.nodes, *circuit.edges) if _ends(part, experiment.graph) & passed)
    roles = tuple((name, parts - gone) for name, parts in circuit.roles)
    return evolve(circuit, nodes=circuit.nodes - gone, edges=circuit.edges - gone, roles=roles)


def calls_of(experiment: Experiment, draws: int | None, runs: int) -> int:
    """How many calls `done` is told of for so many runs of every row; rows for a transformer's means are run too."""
    calls = runs * len(experiment.rows) * _draws(experiment, draws)
    if experiment.ablation.averaged and experiment.graph.sequence:
        return calls + len(referred(experiment))
    return calls


def _draws(experiment: Experiment, draws: int | None) -> int:
    kind = experiment.protocol.ablation
    usual = said(kind).draws
    if not usual:
        if draws not in (None, 1):
            others = " and ".join(map(repr, drawing()))
            raise ClaimError(f"draws={draws}: ablation {kind!r} draws nothing; only {others} does.")
        return 1
    return usual if draws is None else draws


def _used(experiment: Experiment) -> Int[np.ndarray, " row"]:
    """The rows whose positions must exist: those that are run, and those that values come from."""
    match said(experiment.protocol.ablation).rows:
        case "pair":
            return np.union1d(experiment.rows, experiment.pair[experiment.rows])
        case "reference":
            return np.union1d(experiment.rows, referred(experiment))
        case _:
            return experiment.rows


def _refuse_passed(circuit: Circuit, experiment: Experiment, passed: frozenset[Component]) -> None:
    graph = experiment.graph
    if passed and (clash := [str(p) for p in circuit.expanded(graph) if _ends(p, graph) & passed]):
        raise ClaimError(
            f"{', '.join(clash[:5])}: passed through (through={', '.join(experiment.through)}), and so no part "
            "of a circuit. Leave it out, or pass through less."
        )


def _ends(part: Part, graph: Graph) -> frozenset[Component]:
    """The components that a part is about, the hosts of parts of these, and the heads of attention of a layer."""
    found = frozenset(component for end in ends_of(part) for component in (end, end.host))
    return found.union(*(graph.atoms(end.host) for end in ends_of(part) if of_attention(end)))
