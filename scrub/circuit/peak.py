"""How much memory the criteria of a circuit fill, before anything is run and without weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.anatomy.edges import Part
from scrub.circuit.align import Alignment
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.completeness import CANDIDATES, halves
from scrub.circuit.cost import SOME, AlikeCircuits, searched_circuits
from scrub.circuit.edge_wirings import EdgeWirings
from scrub.circuit.experiment import referred
from scrub.circuit.random import only_one, random_circuits
from scrub.circuit.same_streams import streams_held
from scrub.circuit.sizes import KEPT, CircuitSizes, averaged_at_once, averaged_bytes
from scrub.engine.cost import Peak
from scrub.model.bytes import SizedModel, row_bytes, written_bytes
from scrub.score.measure import answer_bytes, answers_at_once

WIRED = 4  # circuits of edges whose copies are counted


@frozen(eq=False)
class AskedCircuits:
    """Circuits that are run for one question, or the model without each: some of `count`."""

    circuits: Collection[frozenset[Part]]
    without: bool
    count: int | None = None


@frozen(eq=False)
class BlocksOf:
    """The blocks of a bench: bytes of those that are kept, and of one that is not; the rows of the last one."""

    bench: CircuitBench
    kept: int
    beside: int
    last: Int[np.ndarray, " n"]
    longest: int
    calls: int

    @classmethod
    def of(cls, sizes: CircuitSizes, bench: CircuitBench) -> BlocksOf:
        reference, every = bench.calls.reference, bench.experiment.data.lengths
        slices = [reference[some] for some in sizes.slices(every[reference])]
        each, kept = [sizes.block_bytes(len(rows), int(every[rows].max())) for rows in slices], 0
        for size in each:
            kept += size if kept + size < sizes.model.memory.share(KEPT) else 0
        beside = 0 if kept == sum(each) else max(each)
        return cls(bench, kept, beside, slices[-1], int(every[slices[-1]].max()), len(reference))


@frozen(eq=False, slots=False)
class PlannedCriteria:
    """A circuit on a bench without weights, of a model's form; it is compared with `random` circuits and parts."""

    bench: CircuitBench
    circuit: Circuit
    model: SizedModel
    random: int = 100

    def peak(self) -> Peak:
        """What criteria hold at most beyond the weights, under a bound that is not too small."""
        half = halves(self.bench)[0]
        phases = [self._phase(asked, half) for asked in self._searched()]
        phases += [self._phase(asked, self.bench) for asked in self._tested()]
        return max(phases, key=lambda peak: peak.bytes)

    @property
    def lacking(self) -> str:
        """What the bound does not hold, and the least that does; nothing where it holds all."""
        return self.model.memory.lacking(self.sizes.pieces(len(self.bench.calls)))

    def _phase(self, asked: AskedCircuits, bench: CircuitBench) -> Peak:
        """Of circuits that are run for one question, on some of the rows: others have let their blocks go."""
        blocks = BlocksOf.of(self.sizes, bench)
        most = min(len(asked.circuits) if asked.count is None else asked.count, self.sizes.ends_at_once(blocks.calls))
        ends = most * blocks.calls * self.sizes.stream_bytes(1)
        prepared = max(blocks.beside + len(blocks.last) * row_bytes(self.model, blocks.longest), self._averaged)
        running = self._of_edges if self.circuit.edges else self._of_components
        scored = self._scored(most * blocks.calls)
        return Peak(self._means + blocks.kept + ends, prepared, blocks.beside + running(asked, blocks), scored)

    @cached_property
    def sizes(self) -> CircuitSizes:
        return CircuitSizes.of(self.model, self.bench.experiment)

    @property
    def _means(self) -> int:
        """Of every group and position; of all rows, and of both halves of them."""
        experiment = self.bench.experiment
        if not experiment.ablation.averaged:
            return 0
        lengths = experiment.data.lengths
        width = lengths.max() + len(Alignment.of(experiment.data, self.bench.slots).slots)
        return 3 * (int(experiment.group.max()) + 1) * written_bytes(self.model, int(width))

    @property
    def _averaged(self) -> int:
        experiment = self.bench.experiment
        if not experiment.ablation.averaged:
            return 0
        longest = int(experiment.data.lengths.max())
        rows = min(averaged_at_once(self.model, longest), len(referred(experiment)))
        return rows * averaged_bytes(self.model, longest)

    def _searched(self) -> Iterator[AskedCircuits]:
        """What is run on a half of the rows: what minimality searches, and a step of completeness."""
        some = searched_circuits(self.bench, self.circuit, min(self.random, SOME))
        yield AskedCircuits(some, False, len(searched_circuits(self.bench, self.circuit, self.random)))
        yield AskedCircuits([frozenset((part,)) for part in self.circuit.parts[:CANDIDATES]], True)

    def _tested(self) -> Iterator[AskedCircuits]:
        """What is run on all rows: random circuits, and the model without each."""
        yield AskedCircuits([frozenset(self.circuit.parts)], False)
        if not self.random or only_one(self.circuit, self.bench.universe):
            return
        seed, some = self.bench.seed, min(self.random, SOME)
        for outside in (False, True):
            drawn = random_circuits(self.circuit, self.bench.universe, some, seed, outside=outside)
            yield AskedCircuits([frozenset(circuit.parts) for circuit in drawn], outside, self.random)

    def _of_components(self, asked: AskedCircuits, blocks: BlocksOf) -> int:
        rows, length = len(blocks.last), blocks.longest
        alike = AlikeCircuits.on(blocks.bench, asked.circuits, asked.without, blocks.last)
        if alike is None:
            size = min(len(asked.circuits), self.sizes.circuits_at_once(rows, length))
            return size * rows * row_bytes(self.model, length) + self._waiting(asked, rows, length, size)
        heads, places = alike.live.most_heads(alike.circuits), sum(at.shape[1] for at in alike.places)
        at_once = self.sizes.alike_at_once(alike.places, length, heads)
        same = next(alike.pieces(at_once))
        each = self.sizes.alike_bytes(alike.places, length, heads)
        base = (self.model.shape.n_layers + 1) * rows * self.sizes.stream_bytes(length)
        return rows * streams_held(same, alike.places) * each + base + self._waiting(asked, rows, places, at_once)

    def _waiting(self, asked: AskedCircuits, rows: int, places: int, at_once: int) -> int:
        """The streams of circuits that wait between two layers for those that run, where layers lie in files."""
        count = len(asked.circuits) if asked.count is None else asked.count
        waits = min(count, at_once * self.sizes.in_step(rows, places, at_once)) - at_once
        return max(0, waits) * rows * self.sizes.stream_bytes(places)

    def _of_edges(self, asked: AskedCircuits, blocks: BlocksOf) -> int:
        rows, length = len(blocks.last), blocks.longest
        wirings = EdgeWirings(self.bench.experiment, self.bench.passed, self.bench.held)
        some = [Circuit.from_parts(parts) for parts in list(asked.circuits)[:WIRED]]
        shared = wirings.shared(some, self.sizes.donated, asked.without, self.sizes.copies_at_once(rows))
        return rows * max(self.sizes.running_bytes(len(one.wiring.copies), length) for one in shared)

    def _scored(self, answers: int) -> int:
        """What so many are scored with."""
        experiment = self.bench.experiment
        asked = self.model, experiment.metric, self.bench.scorer.arguments(experiment.metric)
        return min(answers, answers_at_once(*asked)) * answer_bytes(*asked)
