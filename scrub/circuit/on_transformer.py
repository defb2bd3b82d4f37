"""Circuits on a transformer: rows are prepared in blocks, and many circuits are run on each block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from attrs import evolve, field, frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.edges import Node
from scrub.anatomy.names import POS, Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.align import Alignment
from scrub.circuit.alike import AlikeRun, base_of
from scrub.circuit.call_block import CallBlock
from scrub.circuit.circuit import Circuit
from scrub.circuit.edge_wirings import EdgeWirings
from scrub.circuit.ends import ends_of, parts_on
from scrub.circuit.experiment import Experiment
from scrub.circuit.hosted import HostedParts, refuse_beside_neurons, refuse_normed_parts
from scrub.circuit.in_step import in_step
from scrub.circuit.leaves import LeafChanges
from scrub.circuit.masked import MaskedRun, Masks, first_frozen
from scrub.circuit.over_blocks import Done, over_blocks, silent
from scrub.circuit.paths import Path, senders_in, wire_paths, without_heads
from scrub.circuit.same_streams import FEW, LiveParts, Place, SameStreams, in_order
from scrub.circuit.sizes import KEPT, CircuitSizes
from scrub.circuit.together import SharedWiring
from scrub.circuit.values import MeanRows, Values, means, own_values, values_of_rows
from scrub.circuit.wired import Places, run_wiring
from scrub.circuit.wiring import Wiring
from scrub.engine.draw import Calls
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.weights import Transformer

WIRED = 2**20  # edges of circuits that are wired before they are run


@frozen(slots=False, eq=False)
class TransformerCircuits:
    """Runs circuits of an experiment. `slots` are the positions that align rows, beside those of the data.

    `passed` are the components that are never ablated. `calls` are (row, draw) pairs. `held` nodes have, in runs by
    noising that keep them, the value of the model's own run.
    """

    experiment: Experiment
    model: Transformer
    calls: Calls
    donors: Int[np.ndarray, " call"]
    slots: tuple[Slot, ...]
    passed: frozenset[Component]
    done: Callable[[int], None] = field(default=lambda n: None, repr=False)
    held: frozenset[Node] = frozenset()
    # kept by number, for this value's experiment, model and donors, and the parts that were met so far
    _blocks: dict[int, CallBlock] = field(factory=dict[int, CallBlock], init=False, repr=False)
    # kept by the circuit, which is the last one, and whether blocks are still
    _wirings: dict[object, dict[bool, list[SharedWiring]]] = field(factory=dict, init=False, repr=False)
    _parts: set[Component] = field(factory=set[Component], init=False, repr=False)

    @property
    def graph(self) -> TransformerGraph:
        assert isinstance(self.experiment.graph, TransformerGraph)
        return self.experiment.graph

    @cached_property
    def alignment(self) -> Alignment:
        return Alignment.of(self.experiment.data, self.slots)

    @cached_property
    def _means(self) -> MeanRows:
        with torch.no_grad():
            return means(self.model, self.experiment, self.alignment, self.done, self._coded())

    @cached_property
    def codes(self) -> PartCodes:
        return PartCodes(self.model)

    def _coded(self) -> list[CodedPart]:
        """The parts that were met."""
        return [self.codes.of(component) for component in sorted(self._parts)]

    def _meet(self, components: Iterable[Component]) -> None:
        """From now on blocks and means hold the numbers of these parts too. Raises ModelError."""
        if new := {component for component in components if component.is_part} - self._parts:
            refuse_normed_parts(self.model, new)
            self._parts.update(new)
            self._blocks.clear()
            self.__dict__.pop("_means", None)

    def slices(self) -> list[Int[np.ndarray, " n"]]:
        """The calls of each block: every call once, rows of similar length together."""
        return self._slices

    @cached_property
    def _slices(self) -> list[Int[np.ndarray, " n"]]:
        return self.sizes.slices(self.experiment.data.lengths[self.calls.reference])

    def block(self, number: int) -> CallBlock:
        """A block; prepared anew each time where more bytes would be kept than the memory holds."""
        if number not in self._blocks:
            with torch.no_grad():
                block = self._prepared(self.slices()[number])
            if sum(kept.bytes for kept in self._blocks.values()) + block.bytes >= self.model.memory.share(KEPT):
                return block
            self._blocks[number] = block
        return self._blocks[number]

    def prepare(self) -> None:
        """Means, and as many blocks as are kept: workers that are copies have them then."""
        if self.experiment.ablation.averaged:
            _ = self._means
        for number in range(len(self.slices())):
            if self.block(number) is not self._blocks.get(number):  # no more of them are kept
                break

    def __getstate__(self) -> dict[str, Any]:
        """What is sent elsewhere tells nobody."""
        return self.__dict__ | {"done": silent}

    def let_go(self) -> None:
        """Blocks that were kept are prepared anew when they are needed: others may fill the memory meanwhile."""
        self._blocks.clear()

    @cached_property
    def sizes(self) -> CircuitSizes:
        return CircuitSizes.of(self.model, self.experiment)

    @property
    def together(self) -> int:
        return self.sizes.ends_at_once(len(self.calls))

    def _prepared(self, calls: Int[np.ndarray, " n"]) -> CallBlock:
        data, rows = self.experiment.data, self.calls.reference[calls]
        own, lengths = values_of_rows(self.model, data, rows, self._coded())
        ablated, still = self._ablated(rows, self.donors[calls], own)
        for component in self.passed:
            if component.traits.given:
                kept = own if component == POS or self.experiment.noising else ablated
                if component != POS or not still:
                    ablated = evolve(ablated, resid=[], mid=[], **{component.kind: getattr(kept, component.kind)})
                    still = False
        answer = self.experiment.answer
        assert answer is not None
        slots = {slot: self._located(slot, rows) for slot in self.slots}
        return CallBlock(calls, lengths, self._located(answer, rows), slots, own, ablated, still)

    def _located(self, slot: Slot, rows: Int[np.ndarray, " n"]) -> Int[Tensor, " n"]:
        return torch.from_numpy(self.experiment.data.locate(slot)[rows]).to(self.model.device)

    def _ablated(
        self, rows: Int[np.ndarray, " n"], donors: Int[np.ndarray, " n"], own: Values
    ) -> tuple[Values, bool]:
        ablation = self.experiment.ablation
        if ablation.donors is None:
            return own.replaced(ablation, self._means.of(rows) if ablation.averaged else None), False
        index = self.alignment.indices(rows, donors, self.experiment.protocol.ablation)
        found, _ = values_of_rows(self.model, self.experiment.data, donors, self._coded())
        own_lengths, places = self.experiment.data.lengths[rows], np.arange(index.shape[1])
        lined = bool(((index == places) | (places >= own_lengths[:, None])).all())
        same = bool((self.experiment.data.lengths[donors] == own_lengths).all())
        if lined and same:
            return found, True
        return found.take(torch.from_numpy(index).to(self.model.device)), False

    def components(
        self, circuits: Sequence[Circuit], noising: bool | None = None, without: bool = False
    ) -> Float[Tensor, "circuit call d"]:
        """The final streams of circuits of components; with `without`, of the model without each."""
        listed = [circuit.expanded(self.graph) for circuit in circuits]
        noising = self.experiment.noising if noising is None else noising
        self._meet(node.component for circuit in listed for node in circuit.nodes)
        return over_blocks(self, TransformerCircuits._components, self._empty(len(listed)), listed, noising, without)

    def _components(
        self, block: CallBlock, done: Done, listed: Sequence[Circuit], noising: bool, without: bool
    ) -> Float[Tensor, "circuit n d"]:
        start, fixed = (block.own, block.ablated) if noising else (block.ablated, block.own)
        live = LiveParts(self.graph, self.passed, noising == without)
        if (
            len(listed) > FEW
            and not self.held
            and (places := live.places({n for c in listed for n in c.nodes}, *block.located))
        ):
            return self._alike(listed, (block, live, places), start, fixed, done)
        at_once = self.sizes.circuits_at_once(*block.shape)
        pieces = [listed[first : first + at_once] for first in range(0, len(listed), at_once)]

        def run(chosen: Sequence[Circuit]) -> MaskedRun:
            masks = self._masks(chosen, block, noising == without)
            layer = first_frozen(masks, self.graph.writers(), len(self.model.blocks)) if noising else 0
            parts = HostedParts.of(self.codes, masks, self._of_one_run(start, masks, block), fixed)
            return MaskedRun(self.model, masks, start, fixed, block.lengths, block.answer, parts, parts.first(layer))

        most, found = self.sizes.in_step(block.shape[0], block.shape[1], at_once), list[Tensor]()
        with torch.no_grad():
            for chosen, x in zip(pieces, in_step(map(run, pieces), len(self.model.blocks), most), strict=True):
                found.append(x)
                done(len(chosen) * block.shape[0])
        return torch.cat(found)

    def _alike(
        self, circuits: Sequence[Circuit], on: tuple[CallBlock, LiveParts, tuple[Place, ...]], start: Values,
        fixed: Values, done: Done,
    ) -> Float[Tensor, "circuit n d"]:  # fmt: skip
        """The final streams of circuits on a block, each of what they have alike computed once."""
        block, live, places = on
        n, slots, at = block.shape[0], block.located[0], tuple(torch.from_numpy(at.copy()) for at in places)
        at = tuple(place.to(self.model.device) for place in at)
        at_once = self.sizes.alike_at_once(places, block.shape[1], live.most_heads(c.nodes for c in circuits))
        order, found = in_order([c.nodes for c in circuits], self.graph), dict[int, Tensor]()
        last = (block.answer - at[-1][:, 0]).clamp(min=0)
        with torch.no_grad():
            none = self._masks([Circuit()], block, live.inverted)
            base = base_of(self.model, none, start, fixed, block.lengths)

            def run(numbers: Sequence[int]) -> AlikeRun:
                some = [circuits[i] for i in numbers]
                same = SameStreams.of(live, [c.nodes for c in some], places, slots)
                masks = self._masks(some, block, live.inverted)
                return AlikeRun(self.model, same, masks, fixed, base, block.lengths, at)

            pieces = [order[first : first + at_once] for first in range(0, len(order), at_once)]
            most = self.sizes.in_step(n, sum(place.shape[1] for place in at), at_once)
            for numbers, x in zip(pieces, in_step(map(run, pieces), len(self.model.blocks), most), strict=True):
                found.update(zip(numbers, x[:, torch.arange(n, device=x.device), last], strict=True))
                done(len(numbers) * n)
        return torch.stack([found[number] for number in range(len(circuits))])

    def _of_one_run(self, start: Values, masks: Masks, block: CallBlock) -> Values:
        """What runs start on, with the streams of that run where parts of them are live."""
        live = not masks.inverted and any(c.is_part and c.traits.is_stream for c in masks.kept)
        return start if start is block.own or not live else self._other(block)

    def _empty(self, count: int) -> Tensor:
        return torch.empty(
            count, len(self.calls), self.model.shape.d_model, dtype=self.model.dtype, device=self.model.device
        )

    def _masks(self, circuits: Sequence[Circuit], block: CallBlock, inverted: bool) -> Masks:
        kept: dict[Component, list[tuple[Slot | None, Bool[Tensor, " circuit"]]]] = {}
        nodes = {node for circuit in circuits for node in circuit.nodes}
        for node in nodes:
            has = torch.tensor([node in circuit.nodes for circuit in circuits], device=self.model.device)
            kept.setdefault(node.component, []).append((node.at, has))
        places = torch.arange(block.shape[1], device=self.model.device)
        slots = {slot: places == index[:, None] for slot, index in block.slots.items()}
        held = frozenset((node.component, node.at) for node in self.held)
        return Masks(kept, slots, self.passed, inverted, len(circuits), block.shape, self.model.device, held)

    def edges(self, circuits: Sequence[Circuit], without: bool = False) -> Float[Tensor, "circuit call d"]:
        """The final streams of circuits of edges; with `without`, of the model without each."""
        self._meet({end for c in circuits for edge in c.edges for end in ends_of(edge)})
        for circuit in circuits:
            refuse_beside_neurons(self.model, parts_on(circuit.edges))
        found = self._empty(len(circuits))
        wide = 2 * len(self.graph.writers()) ** 2  # edges that a circuit may have, or lack
        at_once = max(1, WIRED // wide)
        for first in range(0, len(circuits), at_once):
            some = circuits[first : first + at_once]
            over_blocks(self, TransformerCircuits._edges, found[first : first + at_once], some, without)
        return found

    def _edges(
        self, block: CallBlock, done: Done, circuits: Sequence[Circuit], without: bool
    ) -> Float[Tensor, "circuit n d"]:
        key = tuple((circuit.nodes, circuit.edges) for circuit in circuits), without
        if self._wirings.keys() != {key}:
            self._wirings.clear()
        wirings = self._wirings.setdefault(key, {})
        if block.still not in wirings:
            most = self.sizes.copies_at_once(len(self.slices()[0]))  # of every block, whichever comes first here
            wirings[block.still] = list(self._wirings_of.shared(circuits, block.still, without, most))
        frozen, start = (block.ablated, block.own) if self.experiment.noising else (block.own, block.ablated)
        found: dict[int, Tensor] = {}
        for shared in wirings[block.still]:
            x = self._evaluated(shared.wiring, block, frozen, start)[0]
            for output, numbers in enumerate(shared.circuits):
                found.update((number, x[:, output]) for number in numbers)
        done(len(circuits) * len(block.calls))
        return torch.stack([found[number] for number in range(len(circuits))])

    @cached_property
    def _wirings_of(self) -> EdgeWirings:
        return EdgeWirings(self.experiment, self.passed, self.held)

    def _other(self, block: CallBlock) -> Values:
        """The model's run on the ablated inputs."""
        with torch.no_grad():
            tokens = torch.zeros(block.shape, dtype=torch.int64, device=self.model.device)
            return own_values(self.model, tokens, block.lengths, block.ablated, self._coded())

    def _places(self, block: CallBlock, times: int = 1) -> Places:
        rows = torch.arange(block.shape[0], device=self.model.device).repeat(times)
        slots = {slot: index.repeat(times) for slot, index in block.slots.items()}
        return Places(rows, block.lengths.repeat(times), block.answer.repeat(times), slots, block.shape[1])

    def paths(self, path_sets: Sequence[Sequence[Path]]) -> Float[Tensor, "paths call d"]:
        """The final streams with sets of paths patched; sets that differ in their senders alone run together."""
        self._meet(sender for paths in path_sets for sender in senders_in(paths))
        alike: dict[object, list[int]] = {}
        for number, paths in enumerate(path_sets):
            alike.setdefault(without_heads(paths), []).append(number)
        wired = {key: wire_paths(self.graph, path_sets[n[0]], self.experiment.output) for key, n in alike.items()}
        sets = [(wired[key], [(n, senders_in(path_sets[n])) for n in numbers]) for key, numbers in alike.items()]
        return over_blocks(self, TransformerCircuits._paths, self._empty(len(path_sets)), sets)

    def _paths(
        self, block: CallBlock, done: Done, sets: Sequence[tuple[Wiring, list[tuple[int, set[Component]]]]]
    ) -> Float[Tensor, "paths n d"]:
        """Sets of paths by their wirings, each with its number and its senders."""
        found: dict[int, Tensor] = {}
        for wiring, senders in sets:
            at_once = self.sizes.paths_at_once(*block.shape, len(wiring.copies))
            for first in range(0, len(senders), at_once):
                numbers, some = zip(*senders[first : first + at_once], strict=True)
                x = self._evaluated(wiring, block, *self._bases(block), some)[:, :, 0]
                found.update(zip(numbers, x, strict=True))
                done(len(some) * len(block.calls))
        return torch.stack([found[number] for number in sorted(found)])

    def _evaluated(
        self,
        wiring: Wiring,
        block: CallBlock,
        frozen: Values,
        new: Values,
        senders: Sequence[set[Component]] = (set(),),
    ) -> Float[Tensor, "senders n output d"]:
        """One wiring, its leaves taken from `new`; for several senders of a layer, one each, side by side."""
        places, answer = self._places(block, len(senders)), self.experiment.answer
        everywhere = wiring.everywhere(answer)
        leaves, changes = dict[int, Tensor](), LeafChanges(self.codes, new, frozen)
        for number, copy in enumerate(wiring.copies):
            if copy.leaf:
                at = None if everywhere[number] else block.answer
                sent = [next(iter(some)) if len(some) == 1 else copy.component for some in senders]
                leaves[number] = changes.of(copy, sent, at)
        x = run_wiring(self.model, wiring, frozen, leaves, places, answer, self.codes)
        return x.view(len(senders), *block.answer.shape, *x.shape[1:])

    def _bases(self, block: CallBlock) -> tuple[Values, Values]:
        """The run that paths are patched into, and where the senders' values come from."""
        if self.experiment.noising:
            return block.own, block.ablated
        return self._other(block), block.own
