"""Circuits on a computation graph: nodes take their functions' values on live or frozen arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.anatomy.edges import Node
from scrub.anatomy.names import Component
from scrub.circuit.ablations import of_rows
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import Experiment
from scrub.circuit.paths import Path, wire_paths
from scrub.circuit.universe import writers
from scrub.circuit.wiring import Wirer, Wiring, wire_edges
from scrub.engine.draw import Calls
from scrub.errors import DataError
from scrub.model.computation import Computation

GraphValues = Mapping[str, Any]

MOST = 2**16  # circuits whose outputs are held together


@frozen(eq=False)
class GraphCircuits:
    """Runs circuits of an experiment on a graph: `own` and `ablated` hold every node's value for each call."""

    experiment: Experiment
    graph: Computation
    passed: frozenset[Component]
    own: list[GraphValues]
    ablated: list[GraphValues]
    held: frozenset[str] = frozenset()  # nodes that have, where they are live, the value of the model's own run
    done: Callable[[int], None] = lambda n: None

    @classmethod
    def of(
        cls, experiment: Experiment, calls: Calls, donors: Int[np.ndarray, " call"], passed: frozenset[Component],
        held: frozenset[Node] = frozenset(),
    ) -> GraphCircuits:  # fmt: skip
        """Every row run once. Raises DataError where values have no mean."""
        graph = experiment.graph
        assert isinstance(graph, Computation)
        rows: list[GraphValues] = [graph.run(row.columns) for row in experiment.data.rows]
        own = [rows[int(row)] for row in calls.reference]
        ablated, names = _ablated(experiment, graph, rows, calls.reference, donors), {n.component.name for n in held}
        return cls(experiment, graph, passed, own, ablated, frozenset(names))

    @property
    def together(self) -> int:
        """Of how many circuits the outputs are held at once."""
        return MOST

    @property
    def output(self) -> str:
        return self.experiment.output.name

    def _sides(self, noising: bool) -> list[tuple[GraphValues, GraphValues]]:
        """For each call the values that a run starts on, and the frozen ones."""
        own, ablated = (self.own, self.ablated) if noising else (self.ablated, self.own)
        return list(zip(own, ablated, strict=True))

    def components(
        self, circuits: Sequence[Circuit], noising: bool | None = None, without: bool = False
    ) -> list[list[Any]]:
        """The outputs of circuits of components, one list a circuit; with `without`, of the model without each."""
        forward = self.experiment.noising if noising is None else noising
        found: list[list[Any]] = []
        for circuit in circuits:
            named = {node.component.name for node in circuit.nodes}
            free = {c.name for c in writers(self.graph) if c not in self.passed}
            live = {c.name for c in self.passed} | (named if forward != without else free - named)
            found.append([self._run(live, start, frozen) for start, frozen in self._sides(forward)])
            self.done(len(self.own))
        return found

    def _run(self, live: set[str], start: GraphValues, frozen: GraphValues) -> Any:
        found: dict[str, Any] = {}
        for name, node in self.graph.nodes.items():
            if name not in live and name != self.output:
                found[name] = frozen[name]
            else:
                given = node.function is None or name in self.held
                found[name] = start[name] if given else node.value(found)
        return found[self.output]

    def edges(self, circuits: Sequence[Circuit], without: bool = False) -> list[list[Any]]:
        """The outputs of circuits of edges, one list a circuit; with `without`, of the model without each."""
        forward = self.experiment.noising
        found: list[list[Any]] = []
        for circuit in circuits:
            wiring = self._wired(circuit, forward, forward != without)
            found.append([self._wiring(wiring, frozen, start) for start, frozen in self._sides(forward)])
            self.done(len(self.own))
        return found

    def _wired(self, circuit: Circuit, forward: bool, inside: bool) -> Wiring:
        edges = {(e.sender, e.receiver, e.channel) for e in circuit.edges}
        everything = writers(self.graph)
        functions = {name for name, node in self.graph.nodes.items() if node.function}
        inner = frozenset(c for c in self.passed if c.name in functions)
        free = [c for c in everything if c not in inner]
        leaves = [c for c in free if c.name not in functions or c.name in self.held]
        always = {c for c in leaves if c in self.passed}

        def live(receiver: Component, channel: str) -> list[tuple[Component, None]]:
            wanted = [s for s in free if s in always or ((s, receiver, channel) in edges) == inside]
            return [(sender, None) for sender in wanted]

        still = not forward or self.experiment.ablation.donors is not None
        return wire_edges(Wirer.of(self.graph, inner, still), free, leaves, self.experiment.output, live)

    def paths(self, path_sets: Sequence[Sequence[Path]]) -> list[list[Any]]:
        """The outputs with sets of paths patched, one list a set."""
        pairs, found = self._sides(self.experiment.noising), list[list[Any]]()
        if not self.experiment.noising:
            pairs = [(self._other(ablated), own) for ablated, own in pairs]
        for paths in path_sets:
            wiring = wire_paths(self.graph, paths, self.experiment.output)
            found.append([self._wiring(wiring, base, new) for base, new in pairs])
            self.done(len(self.own))
        return found

    def _other(self, ablated: GraphValues) -> GraphValues:
        """The graph's run on the ablated inputs."""
        return self.graph.run({name: ablated[name] for name in self.graph.inputs()})

    def _wiring(self, wiring: Wiring, frozen: GraphValues, leaves: GraphValues) -> Any:
        values: dict[int, Any] = {}

        def evaluated(component: Component, reads: Any) -> Any:
            known = dict(frozen)
            for channel, column in reads:
                for number, _ in column:
                    if wiring.copies[number].component.name == channel:
                        known[channel] = values[number]
            return self.graph.nodes[component.name].value(known)

        for number, copy in enumerate(wiring.copies):
            name = copy.component.name
            values[number] = leaves[name] if copy.leaf else evaluated(copy.component, copy.reads)
        return evaluated(self.experiment.output, wiring.final)


def _ablated(
    experiment: Experiment, graph: Computation, rows: list[GraphValues], called: Int[np.ndarray, " call"],
    donors: Int[np.ndarray, " call"],
) -> list[GraphValues]:  # fmt: skip
    """Every node's ablated value for each call; a mean is formed once for a group."""
    ablation = experiment.ablation
    if ablation.donors is not None:
        return [rows[int(donor)] for donor in donors]
    groups, means = experiment.group[called], dict[int, GraphValues]()
    if ablation.averaged:
        means = {int(g): _mean(experiment, graph, rows, int(g)) for g in np.unique(groups)}
    pairs = [(rows[int(row)], means.get(int(group), {})) for row, group in zip(called, groups, strict=True)]
    return [{name: ablation.instead(own[name], mean.get(name)) for name in graph.nodes} for own, mean in pairs]


def _mean(experiment: Experiment, graph: Computation, rows: list[GraphValues], group: int) -> GraphValues:
    members = np.flatnonzero(experiment.reference & (experiment.group == group))
    try:
        return {name: sum(rows[m][name] for m in members) / len(members) for name in graph.nodes}
    except TypeError as error:
        raise DataError(
            f"ablation {experiment.protocol.ablation!r}: the nodes' values have no mean ({error}); use "
            f"{' or '.join(map(repr, of_rows()))}."
        ) from None
