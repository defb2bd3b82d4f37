"""Pass 4 on a transformer: contexts become values with the functions of the model's layers, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.table import attention_time, stream_at
from scrub.claims.geometry import named_slots
from scrub.claims.resolved import Claim
from scrub.engine.cache import Store, located, row_store
from scrub.engine.contexts import Contexts
from scrub.engine.footprint import Footprint
from scrub.engine.frames import Frames, Seen, Value
from scrub.engine.idle import Idle, RowsAlike
from scrub.engine.needs import Kind, Need, needs
from scrub.engine.number import Numbered
from scrub.engine.plan import Leaf, Program, SiteShape, Stream, is_made_once
from scrub.engine.pseudo import pseudo_store
from scrub.engine.reread import reread
from scrub.engine.sites import SiteCall, leaf_value
from scrub.engine.streams import Landed, SlotStream, put_values, stream_everywhere, streams_at_slots
from scrub.engine.untouched import untouched, untouched_need
from scrub.model.upload import uploaded
from scrub.model.weights import Transformer


@frozen(eq=False, slots=False)
class TransformerRows:
    """Every row of the pool run once, what programs need of it kept; and the frames that rests are read from."""

    claim: Claim
    model: Transformer
    store: Store
    frames: Frames

    @classmethod
    def run(
        cls,
        claim: Claim,
        model: Transformer,
        programs: list[Program],
        done: Callable[[int], None] = lambda _: None,
        beside: Need | None = None,
    ) -> TransformerRows:
        """Run the pool, keeping what some programs of the claim need, and what is asked for `beside` them.

        `done(n)` hears of rows that were run.
        """
        return cls.run_each(model, [(claim, program) for program in programs], done, beside)[0]

    @classmethod
    def run_each(
        cls, model: Transformer, asked: Sequence[tuple[Claim, Program]],
        done: Callable[[int], None] = lambda _: None, beside: Need | Store | None = None,
    ) -> list[TransformerRows]:  # fmt: skip
        """The same of programs of claims about one answer and data, with one rest: one run serves all.

        None is made where a store has all that they need.
        """
        claim = asked[0][0]
        of_rows, of_frames = asked_of_rows(asked)
        if isinstance(beside, Need):
            of_rows.merge(beside)
        slots = {slot: None for one, _ in asked for slot in named_slots(one.placement, one.data)}
        positions = located(claim.data, tuple(slots), model.device)
        pseudo = claim.options.pseudo
        with torch.no_grad():
            known = reread(beside, model, of_rows) if isinstance(beside, Store) else None
            store = known or row_store(model, claim.data, of_rows, positions, done)
            if not pseudo:
                return [cls(one, model, store, Frames(model, one, store, False)) for one, _ in asked]
            once = [is_made_once(one) for one, _ in asked]
            alone = pseudo_store(model, claim, of_frames, positions, done)
            made = untouched(model, claim, of_frames, alone) if any(once) else alone
        claims = [one for one, _ in asked]
        stores = [(made, alone) if apart else (alone, None) for apart in once]
        return [
            cls(one, model, store, Frames(model, one, rest, True, plain))
            for one, (rest, plain) in zip(claims, stores, strict=True)
        ]

    def outputs(self, rows: Int[np.ndarray, " call"]) -> Float[Tensor, "call d"]:
        """The final stream of the model's own answer on rows."""
        return self._final(self.store, rows)

    def whole(self, rows: Int[np.ndarray, " call"]) -> Float[Tensor, "call d"]:
        """The final stream that the empty claim reads: that of the rows, or of their mean or zero row."""
        return self._final(self.frames.alone or self.frames.store, rows)

    def _final(self, store: Store, rows: Int[np.ndarray, " call"]) -> Float[Tensor, "call d"]:
        (index,) = uploaded([rows], self.model.device)
        return store.at(_final(self.model), self.claim.answer.at[0], index)


def asked_of_rows(asked: Sequence[tuple[Claim, Program]]) -> tuple[Need, Need]:
    """What programs need of the rows of the pool, and of mean or zero rows; where frames are rows, of these alone."""
    claim, of_rows, of_frames = asked[0][0], Need(), Need()
    for one, program in asked:
        leaves, frames = needs(one, program)
        of_rows.merge(leaves)
        of_frames.merge(frames)
    for need in (of_rows, of_frames):
        need.add(_final(claim.graph), claim.answer.at[0])
    if not claim.options.pseudo:  # each row runs once for both
        of_rows.merge(of_frames)
        return of_rows, Need()
    if any(is_made_once(one) for one, _ in asked):
        of_frames.merge(untouched_need(claim))
    return of_rows, of_frames


def _final(form: Any) -> Kind:
    """The array of the final stream, of a model or its graph."""
    return stream_at(attention_time(form.shape.n_layers))


@frozen(eq=False, slots=False)
class TransformerEvaluator:
    """Evaluates programs on a transformer. A value is freed after its last reader."""

    rows: TransformerRows
    program: Program

    def answers(self, numbered: Numbered) -> Float[Tensor, "call d"]:
        """The final stream at the answer's position for every call, root after root."""
        values: dict[int, Value] = {}
        seen: dict[int, Seen] = {}
        with torch.no_grad():
            given = RunInputs.of(self, numbered)
            for wave in self.footprint.schedule.waves:
                streams = [number for number in wave if isinstance(self.program.steps[number], Stream)]
                seen.update(zip(streams, self._streams(streams, given, values), strict=True))
                for number in wave:
                    step = self.program.steps[number]
                    if not isinstance(step, Stream):
                        values[number] = self._value(number, step, given, seen)
                # Values of all contexts of a step are what fills the memory: none is held beyond its last reader.
                for freed in self.footprint.schedule.last_use.get(wave[0], ()):
                    values.pop(freed, None)
                    seen.pop(freed, None)
            ends = zip(self.program.answers, given.answers, strict=True)
            return torch.cat([values[step][0][:, 0].index_select(0, answer) for (_, step), answer in ends])

    @cached_property
    def alike(self) -> RowsAlike:
        return RowsAlike(self.rows.claim)

    @cached_property
    def footprint(self) -> Footprint:
        return Footprint(self.rows.claim, self.rows.model, self.program)

    def fits(self, numbered: Numbered) -> bool:
        """Whether the memory holds the values of all contexts until their last readers."""
        return self.footprint.fits(numbered.counts)

    @property
    def in_caches(self) -> bool:
        return self.rows.model.in_caches

    def _together(self, numbers: list[int], numbered: Numbered) -> int:
        return self.footprint.together({number: len(numbered.batches[number]) for number in numbers})

    def _streams(self, numbers: list[int], given: RunInputs, values: dict[int, Value]) -> list[Seen]:
        """Streams of one wave, part by part. Later parts may end earlier, so a moment may lack the last contexts."""
        parts: dict[int, list[dict[int, Tensor]]] = {number: [] for number in numbers}
        longest = max((len(given.contexts[number]) for number in numbers), default=0)
        size = self._together(numbers, given.numbered)
        for start in range(0, longest, size):
            running: dict[int, SlotStream] = {}
            for number in numbers:
                step, part = self.program.steps[number], slice(start, start + size)
                contexts = given.contexts[number].part(part)
                assert isinstance(step, Stream)
                if not len(contexts):
                    continue
                times, frames = self.program.times[number], self.rows.frames
                if step.put is not None:
                    parts[number].append(dict.fromkeys(times, put_values(step.put, contexts, values)))
                elif step.slot is None:
                    parts[number].append(dict(stream_everywhere(frames, step, times, contexts, values)))
                else:
                    until = given.numbered.batches[number].until[part]
                    running[number] = SlotStream(Landed(frames, step, contexts, values), times, until, given.idle)
            if running:
                for number, seen in zip(
                    running, streams_at_slots(self.rows.frames, list(running.values())), strict=True
                ):
                    parts[number].append(dict(seen))
        return [_joined(parts[number], self.program.times[number]) for number in numbers]

    def _value(self, number: int, step: Leaf | SiteShape, given: RunInputs, seen: dict[int, Seen]) -> Value:
        frames = self.rows.frames
        parts = [
            list(
                leaf_value(self.rows.store, step, part.rows, frames.longest(part.host[:, 0]))
                if isinstance(step, Leaf)
                else SiteCall(frames, step, part, seen).value()
            )
            for part in given.contexts[number].split(self._together([number], given.numbered))
        ]
        return [_stacked([part.pop(0) for part in parts]) for _ in step.components]  # never all of them held twice


@frozen(eq=False)
class RunInputs:
    """What one run of a program is given: its contexts, brought to the device in one copy before anything is run."""

    numbered: Numbered
    contexts: dict[int, Contexts]
    answers: list[Int[Tensor, " call"]]
    idle: Idle

    @classmethod
    def of(cls, evaluator: TransformerEvaluator, numbered: Numbered) -> RunInputs:
        tables = [batch.contexts for batch in numbered.batches.values()]
        there = uploaded([*tables, *numbered.answers], evaluator.rows.model.device)
        contexts = dict(zip(numbered.batches, map(Contexts, tables, there), strict=False))
        return cls(numbered, contexts, there[len(tables) :], Idle(evaluator.alike, evaluator.program, numbered))


def _joined(parts: list[dict[int, Tensor]], times: Sequence[int]) -> Seen:
    """Parts put together, moment by moment: they are let go, so that not all of them are held twice."""
    return {time: _stacked([part.pop(time) for part in parts if time in part]) for time in times}


def _stacked(parts: list[Tensor]) -> Tensor:
    """Parts one below the other; parts over every position are padded to the longest."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim == 3 and len({part.shape[1] for part in parts}) > 1:
        longest = max(part.shape[1] for part in parts)
        parts = [torch.nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts]
    return torch.cat(parts)
