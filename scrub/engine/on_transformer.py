"""Pass 4 on a transformer: contexts become values with the functions of the model's layers, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.claims.geometry import slots_of
from scrub.claims.positions import Slot
from scrub.claims.resolved import Claim
from scrub.engine.cache import Store, located, row_store
from scrub.engine.needs import Need, needs
from scrub.engine.number import Numbered
from scrub.engine.plan import Leaf, Program, Shape, Stream
from scrub.engine.pseudo import pseudo_store
from scrub.engine.sites import SiteCall, leaf_value
from scrub.engine.streams import Frames, Seen, Value, stream_at_slot, stream_everywhere
from scrub.model.weights import Transformer

CONTEXTS_AT_ONCE = 512


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
    ) -> TransformerRows:
        """Run the pool, keeping what some programs of the claim need. `done(n)` hears of rows that were run."""
        answer = claim.placement.placed[claim.placement.output].sites[0].site.at[0]
        of_rows, of_frames = Need(), Need()
        for program in programs:
            leaves, frames = needs(claim, program)
            of_rows.merge(leaves)
            of_frames.merge(frames)
        final = ("resid", 2 * model.shape.n_layers)
        of_rows.add(final, answer)
        of_frames.add(final, answer)
        positions = located(claim.data, slots_of(claim.placement), model.device)
        pseudo = claim.options.rest in ("mean", "zero")
        if not pseudo:
            of_rows.merge(of_frames)
        with torch.no_grad():
            store = row_store(model, claim.data, of_rows, positions, done)
            rest = pseudo_store(model, claim, of_frames, positions, done) if pseudo else store
        return cls(claim, model, store, Frames(model, claim, rest, pseudo))

    @cached_property
    def answer(self) -> Slot:
        return self.claim.placement.placed[self.claim.placement.output].sites[0].site.at[0]

    def outputs(self, rows: Int[np.ndarray, " call"]) -> Float[Tensor, "call d"]:
        """The final stream of the model's own answer on rows."""
        return self._final(self.store, rows)

    def whole(self, rows: Int[np.ndarray, " call"]) -> Float[Tensor, "call d"]:
        """The final stream that the empty claim reads: that of the rows, or of their mean or zero row."""
        return self._final(self.frames.store, rows)

    def _final(self, store: Store, rows: Int[np.ndarray, " call"]) -> Float[Tensor, "call d"]:
        index = torch.from_numpy(rows).to(self.model.device)
        return store.at(("resid", 2 * self.model.shape.n_layers), self.answer, index)


@frozen(eq=False)
class TransformerEvaluator:
    """Evaluates programs on a transformer. A value is freed after its last reader."""

    rows: TransformerRows
    program: Program

    def answers(self, numbered: Numbered) -> Float[Tensor, "call d"]:
        """The final stream at the answer's position for every call."""
        values: dict[int, Value] = {}
        seen: dict[int, Seen] = {}
        last = self._last_use()
        with torch.no_grad():
            for number, step in enumerate(self.program.steps):
                batch = numbered.batches[number]
                contexts = torch.from_numpy(batch.contexts).to(self.rows.model.device)
                if isinstance(step, Stream):
                    seen[number] = self._stream(number, step, contexts, batch.until, values)
                else:
                    values[number] = self._value(step, contexts, seen)
                for freed in last.get(number, ()):
                    values.pop(freed, None)
                    seen.pop(freed, None)
            root = self.program.parts[self.program.tree.path][-1]
            answer = torch.from_numpy(numbered.answer).to(self.rows.model.device)
            return values[root][0][:, 0].index_select(0, answer)

    def _last_use(self) -> dict[int, list[int]]:
        """The steps whose value is read for the last time at each step."""
        last: dict[int, int] = {}
        for number, step in enumerate(self.program.steps):
            used = step.sources if isinstance(step, Stream) else ()
            used = [view[0] for view in step.views] if isinstance(step, Shape) else used
            last.update(dict.fromkeys(used, number))
        freed: dict[int, list[int]] = {}
        for used, number in last.items():
            freed.setdefault(number, []).append(used)
        return freed

    def _stream(
        self, number: int, step: Stream, contexts: Int[Tensor, "n column"], until: Int[np.ndarray, " n"],
        values: dict[int, Value],
    ) -> Seen:  # fmt: skip
        """A stream, part by part. Later parts may end earlier, so a moment may hold the first contexts only."""
        frames, times, parts = self.rows.frames, self.program.times[number], list[Seen]()
        for start in range(0, len(contexts), CONTEXTS_AT_ONCE):
            part = slice(start, start + CONTEXTS_AT_ONCE)
            if step.slot is None:
                parts.append(stream_everywhere(frames, step, times, contexts[part], values))
            else:
                parts.append(stream_at_slot(frames, step, times, contexts[part], until[part], values))
        return {time: _stacked([part[time] for part in parts if time in part]) for time in times}

    def _value(self, step: Leaf | Shape, contexts: Int[Tensor, "n column"], seen: dict[int, Seen]) -> Value:
        parts = [
            leaf_value(self.rows.store, step, part[:, 0])
            if isinstance(step, Leaf)
            else SiteCall(self.rows.frames, step, part, seen).value()
            for part in contexts.split(CONTEXTS_AT_ONCE)
        ]
        return [_stacked([part[i] for part in parts]) for i in range(len(step.components))]


def _stacked(parts: list[Tensor]) -> Tensor:
    """Parts one below the other; parts over every position are padded to the longest."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim == 3 and len({part.shape[1] for part in parts}) > 1:
        longest = max(part.shape[1] for part in parts)
        parts = [torch.nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts]
    return torch.cat(parts)
