"""What of a test is not cut any further, so that the memory must hold it: asked before anything is run."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from scrub.claims.resolved import Claim
from scrub.claims.text import Tokenizer
from scrub.engine.cache import row_piece
from scrub.engine.footprint import Footprint
from scrub.engine.given import aligned
from scrub.engine.number import Numbering
from scrub.engine.plan import compile_tree
from scrub.engine.unroll import unroll
from scrub.metrics import Arguments
from scrub.model.bytes import SizedModel
from scrub.model.memory import Piece
from scrub.score.measure import answer_piece, logits_piece
from scrub.score.patched import patched_pieces


def held_pieces(claim: Claim, model: SizedModel, tokenizer: Tokenizer | None) -> Iterator[Piece]:
    """Of the claim itself, its controls, and what it leaves out. A claim that is made of it and takes more is run
    one draw at a time all the same."""
    yield row_piece(model, int(claim.data.lengths.max()))
    yield from _drawn(claim, model)
    yield answer_piece(model, claim.metric, Arguments.of(claim.metric, claim.data, tokenizer, torch.device("cpu")))
    yield logits_piece(model)
    expect = claim.hypothesis.expect
    if expect is not None and expect.interchange is not None:
        yield from patched_pieces(claim, model)


def _drawn(claim: Claim, model: SizedModel) -> Iterator[Piece]:
    program = compile_tree(claim, unroll(claim))
    footprint = Footprint(claim, model, program)
    uses = [len(found) for found in Numbering(claim, program).uses]
    yield from footprint.pieces(uses)
    if aligned(claim):
        yield from footprint.given(uses)
