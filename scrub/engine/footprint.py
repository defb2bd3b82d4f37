"""What the contexts of a program's steps take, in bytes: what is held of each until its last reader, and its work.

From this follows how many are computed together: an evaluator asks it, and whoever says beforehand what it will fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from attrs import frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.needs import passed_heads, passed_mlps
from scrub.engine.plan import Leaf, Program, SiteShape, Stream
from scrub.engine.schedule import Schedule
from scrub.model.bytes import SizedModel
from scrub.model.memory import Piece

CONTEXTS_AT_ONCE = 512  # at most: on a CPU larger batches leave its caches and are slower
# Shares of the memory, beside the rows that are kept: values of steps until their last reader, and contexts in hand.
HELD, WORK = 0.25, 0.125


@frozen(eq=False, slots=False)
class Footprint:
    """The bytes of one context of every step, at the length of the longest row of the pool."""

    claim: Claim
    model: SizedModel
    program: Program

    @cached_property
    def held(self) -> list[int]:
        """The value of a context of each step: of a stream, what it shows at every moment at which it is read."""
        return [self._size(self._held(number, step)) for number, step in enumerate(self.program.steps)]

    @cached_property
    def work(self) -> list[int]:
        """What is filled while a context of each step is computed, beside its value."""
        return [self._size(self._work(number, step)) for number, step in enumerate(self.program.steps)]

    @cached_property
    def schedule(self) -> Schedule:
        return Schedule(self.program)

    def fits(self, counts: Sequence[int]) -> bool:
        """Whether the memory holds the values of so many contexts of every step, until their last readers."""
        return self.schedule.most(self._values(counts)) <= self.model.memory.share(HELD)

    def holds(self, uses: Sequence[int]) -> int:
        """For how many calls the memory holds all values, each step being used by so many occurrences: at least."""
        each = sum(held * used for held, used in zip(self.held, uses, strict=True))
        return self.model.memory.share(HELD) // max(each, 1)

    def together(self, counts: Mapping[int, int]) -> int:
        """How many contexts are computed together, of each of some steps: streams at slots run side by side."""
        most = self.model.at_most(CONTEXTS_AT_ONCE)
        if self.filled(counts, most) <= self.model.memory.share(WORK):
            return most
        return self.model.fit(self._computed(counts), CONTEXTS_AT_ONCE)

    def pieces(self, uses: Sequence[int]) -> Iterator[Piece]:
        """What is not cut of one call, where so many occurrences use each step: its values, and single contexts."""
        yield Piece("one draw of one row", self.schedule.most(self._values(uses)), HELD)
        for wave in self.schedule.waves:
            yield self._computed(dict.fromkeys(wave, 1))

    def given(self, uses: Sequence[int]) -> Iterator[Piece]:
        """The same where one occurrence is given, besides, what a layer writes at every position."""
        more = 4 * self._longest * self.model.shape.d_model
        most = self.schedule.most(self._values(uses)) + self._size(more)
        yield Piece("one draw of one row, with what it leaves out,", most, HELD)
        sites = (self._site_work(step, True) for step in self.program.steps if isinstance(step, SiteShape))
        work = max(self._stream_work(self._longest, None), *sites)
        yield Piece("one draw of one row, with what it leaves out, in a layer,", self._size(work), WORK)

    def _computed(self, counts: Mapping[int, int]) -> Piece:
        return Piece("one draw of one row, in a layer,", self.filled(counts, 1), WORK)

    def peak(self, counts: Sequence[int]) -> int:
        """What is filled at most while so many contexts of every step are computed, with their values."""

        def working(wave: Sequence[int]) -> int:
            some = {number: counts[number] for number in wave}
            size = self.together(some)
            return max(self.filled(some, size), self._joined(some, size))

        return self.schedule.most(self._values(counts), working)

    def _joined(self, contexts: Mapping[int, int], size: int) -> int:
        """What is held twice while the parts of a step are put together: one moment of a stream, or one component."""
        cut = (number for number, count in contexts.items() if count > size)
        return max((self.held[number] * contexts[number] // self._pieces(number) for number in cut), default=0)

    def _pieces(self, number: int) -> int:
        step = self.program.steps[number]
        return max(1, len(self.program.times.get(number, ())) if isinstance(step, Stream) else len(step.components))

    def _values(self, counts: Sequence[int]) -> list[int]:
        return [held * count for held, count in zip(self.held, counts, strict=True)]

    def filled(self, contexts: Mapping[int, int], size: int) -> int:
        """What is filled while so many contexts of each of some steps are computed, at most `size` of each together.

        Streams at slots run side by side.
        """
        each = {number: self.work[number] * min(size, count) for number, count in contexts.items()}
        side = sum(filled for number, filled in each.items() if _at_slot(self.program.steps[number]))
        return max(side, *each.values()) if each else 0

    def _size(self, numbers: int) -> int:
        return numbers * self.model.dtype.itemsize

    @cached_property
    def _longest(self) -> int:
        return int(self.claim.data.lengths.max())

    def _places(self, step: Leaf | SiteShape) -> int:
        return self._longest if ALL in step.slots else max(1, len(step.slots))

    def _held(self, number: int, step: Leaf | Stream | SiteShape) -> int:
        if isinstance(step, Stream):
            places = 1 if step.slot is not None else self._longest
            return places * len(self.program.times.get(number, ())) * self.model.shape.d_model
        return self._places(step) * sum(map(self._width, step.components))

    def _width(self, component: Component) -> int:
        shape = self.model.shape
        return len(component.heads(shape)) * shape.d_head if component.traits.attends else shape.d_model

    def _work(self, number: int, step: Leaf | Stream | SiteShape) -> int:
        if isinstance(step, Leaf):
            return 0
        if isinstance(step, Stream):
            places = 1 if step.slot is not None else self._longest
            return self._stream_work(places, max(self.program.times.get(number, (0,))))
        return self._site_work(step, _everywhere(step))

    def _stream_work(self, places: int, until: int | None) -> int:
        """Of a stream at so many places that is read until a moment, or the last one."""
        graph = self.claim.graph
        assert isinstance(graph, TransformerGraph)
        until = graph.order(self.claim.answer.components[0]) if until is None else until
        heads = max(map(len, passed_heads(self.claim, until).values()), default=0)
        through = self._mlp if passed_mlps(self.claim, graph, until) else 0
        streams = 4 if places == 1 else 6  # everywhere a change, the stream and what passes are whole ones
        return places * (streams * self.model.shape.d_model + max(through, self._attention(heads, places)))

    def _site_work(self, step: SiteShape, everywhere: bool) -> int:
        shape = self.model.shape
        heads = sum(len(c.heads(shape)) for c in step.components if c.traits.attends)
        local = self._mlp if any(c.host.traits.local for c in step.components) else 0
        read = 3 * self._longest * shape.d_model if heads and everywhere else 0  # norms of whole streams
        places = self._places(step)
        return read + places * max(local, 2 * shape.d_model) + self._keys(heads) + places * heads * self._longest

    @property
    def _mlp(self) -> int:
        return 3 * self.model.shape.d_mlp + 4 * self.model.shape.d_model

    def _attention(self, heads: int, places: int) -> int:
        """Queries to z of passed-through heads, and a row of the pattern, at one position."""
        return heads * (5 * self.model.shape.d_head + places)

    def _keys(self, heads: int) -> int:
        """Keys and values of a row, and copies of them: as they are stored, and as they are multiplied."""
        return 4 * self._longest * heads * self.model.shape.d_head


def _at_slot(step: Leaf | Stream | SiteShape) -> bool:
    return isinstance(step, Stream) and step.slot is not None and step.put is None


def _everywhere(step: SiteShape) -> bool:
    """Whether a channel sees a stream at every position."""
    return any(slot is None for i in step.inputs for slot, _ in i.streams)
