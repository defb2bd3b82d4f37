"""Rival claims as one program: they draw the same rows where path and class agree, and what is equal runs once.

What a claim reads of its rows it draws by itself. Steps and their contexts hold no name and no class, so that those
of all rivals are numbered together: with `through="mlps"` an MLP that two claims ask for on one input is called once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial

import numpy as np
from attrs import evolve

from scrub.anatomy.positions import OTHER
from scrub.claims.resolved import Claim
from scrub.engine.draw import Drawn, Draws
from scrub.engine.on_transformer import TransformerEvaluator
from scrub.engine.plan import compile_tree, is_dense
from scrub.engine.unroll import Occurrence
from scrub.model.workers import Task
from scrub.score.blocks import Arrays, CallPiece, NumberBlock, key
from scrub.score.diagnostics import Tally
from scrub.score.sample import ClaimBench, Resampling, Samples, calls_at_once, chunks, drawn_samples


def are_alike(claims: Sequence[Claim]) -> bool:
    """Whether claims about one transformer can be one program: the frames that they read are made in one way.

    They have one answer on rows in one order, pass through and hold the same components, and draw as many rests;
    mean and zero rows, parts and positions without a name are read by what the whole claim says.
    """
    return len({_frames(claim) for claim in claims}) == 1 and not any(map(_by_the_whole, claims))


def _frames(claim: Claim) -> Hashable:
    held = tuple((c, claim.claimed_at.get(c, frozenset())) for c in sorted(claim.passed))
    rows = claim.data.identities.tobytes(), claim.answer.canonical
    return *rows, held, is_dense(claim), claim.options.rest_scope


def _by_the_whole(claim: Claim) -> bool:
    parts = any(component.is_part for component in claim.claimed_at)
    nameless = any(OTHER in slots for slots in claim.claimed_at.values())
    return claim.options.pseudo or parts or nameless


def joint_bench(benches: Sequence[ClaimBench]) -> ClaimBench | None:
    """The trees of claims that are alike, whose rows are in one store, in one program; None where it is too large.

    Graph, rows and metric are the first claim's: they are those of all.
    """
    first = benches[0]
    roots = [_numbered(bench.tree, number) for number, bench in enumerate(benches)]
    joint = evolve(first, program=compile_tree(first.claim, *roots))
    assert isinstance(joint.evaluator, TransformerEvaluator)
    return joint if joint.evaluator.footprint.holds([len(uses) for uses in joint.numbering.uses]) else None


def sample_together(
    joint: ClaimBench, benches: Sequence[ClaimBench], asked: Resampling, done: Callable[[int], None] = lambda _: None
) -> list[Samples]:
    """The samples of the claims of a joint program: numbers are those of each by itself."""
    references, made = asked.references, [Draws(bench.claim, asked.seed) for bench in benches]
    tallies = [Tally(bench.claim, bench.tree) for bench in benches]
    size = calls_at_once(joint.program, len(benches))

    def blocks() -> Iterator[NumberBlock]:
        for calls in chunks(references, asked.draws, size):
            drawn: dict[str, Drawn] = {}
            for number, (bench, own, tally) in enumerate(zip(benches, made, tallies, strict=True)):
                rows = own.tree(bench.tree, calls)
                tally.add(rows)
                drawn |= {_path(path, number): found for path, found in rows.items()}
            wholes = [own.baseline(bench.tree, calls) for bench, own in zip(benches, made, strict=True)]
            piece = CallPiece(calls, drawn, np.stack(wholes, axis=1))
            yield NumberBlock(partial(_key, joint, piece), Task(joint, _measured, (piece,)), joins=True)

    found = joint.gathered(blocks(), lambda calls: done(calls * len(benches)))
    model = joint.model_scores(references)
    return [
        drawn_samples(bench, references, (model, found["scrubbed"][:, i], found["random"][:, i]), tally)
        for i, (bench, tally) in enumerate(zip(benches, tallies, strict=True))
    ]


def _numbered(node: Occurrence, number: int) -> Occurrence:
    """A tree whose paths no other claim has; its rows are drawn by its own."""
    children = tuple(_numbered(child, number) for child in node.children)
    return evolve(node, path=_path(node.path, number), children=children)


def _path(path: str, number: int) -> str:
    return f"{path} of claim {number}"


def _key(joint: ClaimBench, piece: CallPiece) -> str:
    return key("rivals", *joint.told(piece.calls, dict(piece.drawn)))


def _measured(joint: ClaimBench, piece: CallPiece) -> Arrays:
    """A column for each claim; rivals that rest on the same rows share those of the empty claim."""
    assert piece.whole is not None
    first, *others = piece.whole.T
    scrubbed, random = joint.scrubbed(piece.calls, piece.drawn), joint.random(piece.calls, first)
    each = [
        random,
        *(random if np.array_equal(whole, first) else joint.random(piece.calls, whole) for whole in others),
    ]
    return {"scrubbed": scrubbed.reshape(len(each), -1).T, "random": np.stack(each, axis=1)}
