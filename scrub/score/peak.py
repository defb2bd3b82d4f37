"""How much memory a test fills, before anything is run and without weights: what it keeps, and what it works with.

Blocks are drawn as the test draws them and their contexts counted. How many rows, contexts and answers go together is
asked of whoever runs them (`rows_at_once`, `Footprint.together` and `fits`, `answers_at_once`), not said here again.
What a claim leaves out is not among it: it keeps what senders write, as much as the bound holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Int

from scrub.claims.parts import parts_of
from scrub.claims.resolved import Claim
from scrub.claims.text import Tokenizer
from scrub.engine.cache import BETWEEN, STORED, rows_at_once
from scrub.engine.cost import Peak
from scrub.engine.draw import Calls, Draws
from scrub.engine.footprint import Footprint
from scrub.engine.needs import Need
from scrub.engine.number import Numbering
from scrub.engine.on_transformer import asked_of_rows
from scrub.engine.plan import Program, compile_tree
from scrub.engine.pseudo import Groups
from scrub.engine.unroll import Occurrence, unroll
from scrub.engine.without import bare, without
from scrub.metrics import Arguments
from scrub.model.bytes import SizedModel, row_bytes
from scrub.score.cost import few_draws
from scrub.score.least import held_pieces
from scrub.score.measure import answer_bytes, answer_work, answers_at_once
from scrub.score.sample import blocks_at_once, calls_at_once, changed_at_once, chunks


@frozen(eq=False, slots=False)
class PlannedTest:
    """A claim on a model's form, with the rows and draws that it is tested on."""

    claim: Claim
    model: SizedModel
    references: Int[np.ndarray, " row"]
    draws: int
    seed: int
    tokenizer: Tokenizer | None = None

    def peak(self) -> Peak:
        """What a test holds at most beyond the weights. Raises ClaimError for a bound that is too small."""
        self.model.memory.hold(held_pieces(self.claim, self.model, self.tokenizer))
        return Peak(self.kept, self.passing, max(self.filled(*block) for block in self._blocks()), self._scoring)

    @cached_property
    def tree(self) -> Occurrence:
        return unroll(self.claim)

    @cached_property
    def program(self) -> Program:
        return compile_tree(self.claim, self.tree)

    @property
    def kept(self) -> int:
        """The rows, and mean or zero rows, of which each program has what it reads; the rest lies in files."""
        programs = [self.program, compile_tree(self.claim, *bare(self.tree))]
        of_rows, of_frames = asked_of_rows([(self.claim, program) for program in programs])
        stored = min(self._bytes(of_rows, len(self.claim.data)), self.model.memory.share(STORED))
        groups = len(Groups.of_claim(self.claim).members) if self.claim.options.pseudo else 0
        return stored + self._bytes(of_frames, groups)

    def _bytes(self, need: Need, rows: int) -> int:
        return need.numbers(self.model.shape, rows, self._longest) * self.model.dtype.itemsize

    @property
    def passing(self) -> int:
        """A slice of the pool's pass; where layers run one at a time, the streams of all rows between two of them."""
        size = min(rows_at_once(self.model, self._longest), len(self.claim.data))
        streams = len(self.claim.data) * self._longest * self.model.shape.d_model * self.model.dtype.itemsize
        between = min(streams, self.model.memory.share(BETWEEN)) if self.model.streamed else 0
        return size * row_bytes(self.model, self._longest) + between

    @property
    def _longest(self) -> int:
        return int(self.claim.data.lengths.max())

    def _blocks(self) -> Iterator[tuple[Program, Calls]]:
        """The first block of draws, and of permutations, which meet more rows; and of what parts earn."""
        size = calls_at_once(self.program) * self._in_one_go(self.program)
        yield self.program, chunks(self.references, self.draws, size)[0]
        rows = self.references[:size]
        yield self.program, Calls(rows, np.zeros(len(rows), dtype=np.int64))
        parts = parts_of(self.claim)[: changed_at_once(self.tree)]
        if parts:
            changed = compile_tree(self.claim, *(without(self.tree, frozenset([part])) for part in parts))
            calls = chunks(self.references, few_draws(self.draws), calls_at_once(changed, len(parts)))
            yield changed, calls[0]

    def _in_one_go(self, program: Program) -> int:
        """How many blocks are computed together."""
        if not self.model.streamed:
            return 1
        return blocks_at_once(Footprint(self.claim, self.model, program), Numbering(self.claim, program))

    def filled(self, program: Program, calls: Calls) -> int:
        """The values of a block with what is computed beside them; one that does not fit is cut in halves."""
        footprint = Footprint(self.claim, self.model, program)
        drawn = Draws(self.claim, self.seed).trees(program.roots, calls)
        counts = Numbering(self.claim, program).number(drawn).counts
        if footprint.fits(counts) or len(calls) == 1:
            return footprint.peak(counts)
        half = len(calls) // 2
        return self.filled(program, Calls(calls.reference[:half], calls.draw[:half]))

    @property
    def _scoring(self) -> int:
        """Answers that are scored together."""
        asked = self.model, self.claim.metric, self._arguments
        return min(answers_at_once(*asked), len(self.references) * self.draws) * answer_bytes(*asked)

    @property
    def answer_work(self) -> int:
        """Multiply-adds of scoring an answer."""
        return answer_work(self.model.shape, self.claim.metric, self._arguments)

    @cached_property
    def _arguments(self) -> Arguments:
        return Arguments.of(self.claim.metric, self.claim.data, self.tokenizer, torch.device("cpu"))
