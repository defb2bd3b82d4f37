"""Circuits of edges as wirings, of numbers alone: which copies of components they run, without a model's weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from scrub.anatomy.edges import Node
from scrub.anatomy.names import EMBED, Component
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.circuit import Circuit
from scrub.circuit.ends import parts_on
from scrub.circuit.experiment import Experiment
from scrub.circuit.live import between, live_senders
from scrub.circuit.together import SharedWiring, wired_together
from scrub.circuit.wiring import Reads, Wirer, wired_output


@frozen(eq=False)
class EdgeWirings:
    """How circuits of an experiment are wired; `passed` components are never ablated, `held` nodes never moved."""

    experiment: Experiment
    passed: frozenset[Component]
    held: frozenset[Node]

    @property
    def graph(self) -> TransformerGraph:
        assert isinstance(self.experiment.graph, TransformerGraph)
        return self.experiment.graph

    def shared(self, circuits: Sequence[Circuit], still: bool, without: bool, most: int) -> Iterator[SharedWiring]:
        """The wirings of circuits, or of the model without each, which share at most so many copies.

        `still`: ablated values, recomputed from themselves, are what they are.
        """
        noising, inner = self.experiment.noising, frozenset(c for c in self.passed if c.traits.inner)
        wirer = Wirer.of(self.graph, inner, still or not noising)
        fine = [circuit.expanded(self.graph) for circuit in circuits]
        outputs = [self._output(wirer, circuit, noising != without) for circuit in fine]
        return wired_together(wirer, outputs, most)

    def _output(self, wirer: Wirer, circuit: Circuit, inside: bool) -> Reads:
        """What the output of a circuit reads, where its edges (`inside`), or all others, are live."""
        free = [c for c in self.graph.writers() if c not in self.passed]
        inputs = [c for c in free if c.traits.given]
        given = [*inputs, *{node.component for node in self.held}]
        leaves = given if self.experiment.noising else [*inputs, *(c for c in self.passed if c == EMBED)]
        parts = parts_on(circuit.edges)
        written = [part for part in parts if not part.traits.is_channel]  # into the stream
        leaves += [part for part in parts if part.host.traits.given]
        senders = [*free, *parts, *(c for c in leaves if c not in (*free, *parts))]
        apart = {c: tuple(p for p in written if p.host == c) for c in free if not inside}
        live = live_senders(circuit, self.graph, inside)
        wirer = evolve(wirer, apart=apart, between=between(circuit, self.graph, inside, live))
        return wired_output(wirer, senders, leaves, self.experiment.output, live)
