"""Drawing, evaluating and measuring a claim: numbers for every reference row and draw."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float, Int

from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Drawn, Draws, Swap
from scrub.engine.exact import Exact
from scrub.engine.footprint import Footprint
from scrub.engine.number import Numbering
from scrub.engine.on_graph import GraphEvaluator, GraphRows
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.engine.plan import Program, compile_tree
from scrub.engine.unroll import Occurrence, unroll
from scrub.errors import ClaimError
from scrub.model.workers import Task
from scrub.score.blocks import (
    Arrays,
    CallPiece,
    Keep,
    NumberBlock,
    ahead,
    gathered,
    in_one_go,
    keep_nothing,
    key,
)
from scrub.score.design import SAMPLE
from scrub.score.diagnostics import Swaps, Tally
from scrub.score.domain import design_of
from scrub.score.measure import Measured
from scrub.score.metrics import finite

# Calls of a block, and rows of one whose every draw is enumerated. Runs are kept block by block, so that these depend
# on no machine and no memory: a block whose values do not fit is computed in halves
CALLS_AT_ONCE = 512
BLOCKS_AT_ONCE = 64  # that a device computes in one go, at most: more keep none busier
CALLS_AT_ONCE_EVERYWHERE = 128  # streams at every position are as many times larger
CHANGED_AT_ONCE = 64  # claims changed a little that are computed together, sharing what is equal in them
OCCURRENCES_AT_ONCE = 4000  # of the trees of all of them
ANSWERS_AT_ONCE = 8  # of all of them together: times as many as a claim's own calls
ROWS_AT_ONCE = 16
EXPECTED = ("scrubbed", "random", "scrubbed_distance", "random_distance")

Table = Float[np.ndarray, "row draw"]


@frozen(eq=False, slots=False)
class ClaimBench:
    """A claim set up on its model: the pool was run, programs can be evaluated and answers measured.

    `keep` is asked for every block of scrubbed answers before it is computed.
    """

    claim: Claim
    tree: Occurrence
    program: Program
    rows: GraphRows | TransformerRows
    measured: Measured
    keep: Keep = keep_nothing

    @cached_property
    def evaluator(self) -> GraphEvaluator | TransformerEvaluator:
        if isinstance(self.rows, GraphRows):
            return GraphEvaluator(self.rows, self.program)
        return TransformerEvaluator(self.rows, self.program)

    @cached_property
    def numbering(self) -> Numbering:
        return Numbering(self.claim, self.program)

    def model_scores(self, references: Int[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
        """The metric of the model itself."""
        return finite(self.measured.of(self.rows.outputs(references), references), references, "for the model")

    def scrubbed(self, calls: Calls, drawn: Mapping[str, Drawn]) -> Float[np.ndarray, " call"]:
        """The metric of the scrubbed answer of every call; of several roots, root after root."""
        numbered, roots = self.numbering.number(drawn), len(self.program.roots)
        if isinstance(self.evaluator, TransformerEvaluator) and not self.evaluator.fits(numbered):
            # What several share is computed for each: numbers stay the same.
            if len(calls) > 1:
                half = len(calls) // 2
                halves = [self.scrubbed(*_cut(calls, drawn, part)) for part in (slice(half), slice(half, None))]
                return np.concatenate([found.reshape(roots, -1) for found in halves], axis=1).ravel()
            if roots > 1:
                alone = (compile_tree(self.claim, root) for root in self.program.roots)
                return np.concatenate([evolve(self, program=one).scrubbed(calls, drawn) for one in alone])
        outputs, rows = self.evaluator.answers(numbered), np.tile(calls.reference, roots)
        return finite(self.measured.of(outputs, rows), rows, "for the scrubbed model")

    def random(self, calls: Calls, whole: Int[np.ndarray, " call"]) -> Float[np.ndarray, " call"]:
        """The metric of the empty claim, which reads the row `whole`, for every call."""
        outputs = self.rows.whole(whole)
        return finite(self.measured.of(outputs, calls.reference), calls.reference, "for a random row")

    def alone(self, calls: Calls, drawn: dict[str, Drawn]) -> NumberBlock:
        """The block of the scrubbed metric of every call."""
        joins = len(self.program.roots) == 1  # else the calls of one root stand after those of another
        told = lambda: key("scrubbed", *self.told(calls, drawn))  # noqa: E731
        return NumberBlock(told, Task(self, _alone, (CallPiece(calls, drawn),)), joins)

    def beside(self, calls: Calls, drawn: dict[str, Drawn], whole: Int[np.ndarray, " call"]) -> NumberBlock:
        """The block of the scrubbed metric of every call beside that of the empty claim."""
        told = lambda: key("both", *self.told(calls, drawn), self._identities(whole))  # noqa: E731
        return NumberBlock(told, Task(self, _beside, (CallPiece(calls, drawn, whole),)), joins=True)

    def gathered(self, blocks: Iterable[NumberBlock], done: Callable[[int], None] = lambda _: None) -> Arrays:
        """The arrays of blocks, kept one by one; a device computes several in one go, the next being drawn meanwhile.

        So does a model whose layers are taken from files. On a CPU a block is else computed as it is kept: its values
        lie in the caches, and a thread that draws takes from those that compute.
        """
        if not isinstance(self.evaluator, TransformerEvaluator) or self.evaluator.in_caches:
            return gathered(self.keep, blocks, done)
        most = blocks_at_once(self.evaluator.footprint, self.numbering)
        return gathered(self.keep, ahead(in_one_go(blocks, most)), done)

    def told(self, calls: Calls, drawn: dict[str, Drawn]) -> Iterator[str | np.ndarray]:
        """All that was drawn for calls, row by row as draws know them: their order in the pool leaves no trace."""
        yield self._identities(calls.reference)
        for path in sorted(drawn):
            yield path
            yield self._identities(drawn[path].own)
            yield self._identities(drawn[path].rest)

    def _identities(self, rows: Int[np.ndarray, ...]) -> np.ndarray:
        return self.claim.data.identities[rows]


def _alone(bench: ClaimBench, piece: CallPiece) -> Arrays:
    return {"scrubbed": bench.scrubbed(piece.calls, piece.drawn)}


def _beside(bench: ClaimBench, piece: CallPiece) -> Arrays:
    assert piece.whole is not None
    return _alone(bench, piece) | {"random": bench.random(piece.calls, piece.whole)}


def _cut(calls: Calls, drawn: Mapping[str, Drawn], part: slice) -> tuple[Calls, dict[str, Drawn]]:
    """Some of the calls, and what was drawn for them."""
    some = {path: Drawn(rows.own[part], rows.rest[part]) for path, rows in drawn.items()}
    return Calls(calls.reference[part], calls.draw[part]), some


def compile_claim(claim: Claim) -> tuple[Occurrence, Program]:
    tree = unroll(claim)
    return tree, compile_tree(claim, tree)


@frozen(eq=False)
class Samples:
    """Numbers by reference row and draw (one column when exact); distances are |metric - the model's metric|.

    `design` says whether the rows are a sample or all that there are, see `score/domain.py`;
    `swaps` tells what the draws were like; `own_rest` counts calls that found no rest row (`empty="self"`); `ceiling`
    is the metric with the claim's noise redrawn.
    """

    references: Int[np.ndarray, " row"]
    model: Float[np.ndarray, " row"]
    scrubbed: Table
    random: Table
    scrubbed_distance: Table
    random_distance: Table
    swaps: tuple[Swaps, ...] = ()
    own_rest: float = 0
    ceiling: Float[np.ndarray, " row"] | None = None
    design: str = SAMPLE

    @property
    def top(self) -> Float[np.ndarray, " row"]:
        """Where the scale of `recovered` ends: the model's metric, or what is left of it where noise is redrawn."""
        return self.model if self.ceiling is None else self.ceiling

    @property
    def columns(self) -> Float[np.ndarray, "row k"]:
        """Row means of scrubbed, random, top and the two distances: what intervals keep together."""
        means = [x.mean(1) for x in (self.scrubbed, self.random, self.scrubbed_distance, self.random_distance)]
        return np.stack([means[0], means[1], self.top, means[2], means[3]], axis=1)

    def of(self, references: Int[np.ndarray, " row"]) -> Samples:
        """The numbers of some of the rows, which are a sample of their own; what the draws were like is left out."""
        at = np.isin(self.references, references)
        return Samples(
            self.references[at], self.model[at], self.scrubbed[at], self.random[at], self.scrubbed_distance[at],
            self.random_distance[at], ceiling=None if self.ceiling is None else self.ceiling[at],
        )  # fmt: skip


def chunks(references: Int[np.ndarray, " row"], draws: int, size: int) -> list[Calls]:
    """All (row, draw) pairs in pieces of at most `size`."""
    rows, numbers = np.repeat(references, draws), np.tile(np.arange(draws), len(references))
    return [Calls(rows[i : i + size], numbers[i : i + size]) for i in range(0, len(rows), size)]


def sample(
    bench: ClaimBench, references: Int[np.ndarray, " row"], draws: int, seed: int,
    done: Callable[[int], None] = lambda _: None,
) -> Samples:  # fmt: skip
    """Sample a claim: every reference row with every draw. `done(n)` hears of calls that were evaluated."""
    made, tally = Draws(bench.claim, seed), Tally(bench.claim, bench.tree)

    def blocks() -> Iterator[NumberBlock]:
        for calls in chunks(references, draws, at_once(bench)):
            drawn = made.tree(bench.tree, calls)
            tally.add(drawn)
            yield bench.beside(calls, drawn, made.baseline(bench.tree, calls))

    found = bench.gathered(blocks(), done)
    metrics = bench.model_scores(references), found["scrubbed"], found["random"]
    return drawn_samples(bench, references, metrics, tally)


def drawn_samples(
    bench: ClaimBench, references: Int[np.ndarray, " row"], metrics: tuple[np.ndarray, ...], tally: Tally
) -> Samples:
    """Of the metric of the model on each row, and of the claim and the empty claim on each call."""
    model, *found = metrics
    s, r = (calls.reshape(len(references), -1) for calls in found)
    distances = np.abs(s - model[:, None]), np.abs(r - model[:, None])
    design = design_of(bench.claim, references, drawn=True)
    return Samples(references, model, s, r, *distances, tally.swaps(), tally.own_rest, design=design)


@frozen(eq=False)
class Resampling:
    """Reference rows that are drawn for again: so many draws for each, from a seed."""

    references: Int[np.ndarray, " row"]
    draws: int
    seed: int


def resample_only(
    bench: ClaimBench, asked: Resampling, made: Container[Swap], done: Callable[[int], None] = lambda _: None
) -> Table:
    """The scrubbed metric when only some swaps are made; the others use the calling row itself."""
    return next(resample_each(bench, asked, [made], done))


def resample_each(
    bench: ClaimBench, asked: Resampling, sets: Iterable[Container[Swap]],
    done: Callable[[int], None] = lambda _: None,
) -> Iterator[Table]:  # fmt: skip
    """The scrubbed metric for each of several sets of swaps that are made.

    Many are drawn for the same calls, together: a swap that is not made leaves most values as they are, and what is
    equal is computed once.
    """
    size, waiting = (len(asked.references), asked.draws), iter(sets)
    while some := list(islice(waiting, changed_at_once(bench.tree))):
        each = [Draws(bench.claim, asked.seed, made) for made in some]
        pieces = chunks(asked.references, asked.draws, calls_at_once(bench.program, len(some)))
        found = bench.gathered((_alike(bench, each, piece) for piece in pieces), done)["scrubbed"]
        yield from found.reshape(*size, len(some)).transpose(2, 0, 1)


def _alike(bench: ClaimBench, each: list[Draws], calls: Calls) -> NumberBlock:
    """Every call drawn in several ways, one after another."""
    order = np.arange(len(each) * len(calls)).reshape(len(each), -1).T.ravel()
    drawn = Drawn.joined([draws.tree(bench.tree, calls) for draws in each])
    mixed = {path: Drawn(rows.own[order], rows.rest[order]) for path, rows in drawn.items()}
    return bench.alone(Calls(np.repeat(calls.reference, len(each)), np.repeat(calls.draw, len(each))), mixed)


def enumerate_exactly(
    bench: ClaimBench, references: Int[np.ndarray, " row"], seed: int, done: Callable[[int], None] = lambda _: None
) -> Samples:
    """The exact expectations, on a computation graph. Raises ClaimError on a transformer."""
    if not isinstance(bench.evaluator, GraphEvaluator):
        raise ClaimError("exact=True enumerates every draw, which only a computation graph allows: drop --exact.")
    held = bench, Exact(bench.evaluator, Draws(bench.claim, seed))
    model = bench.model_scores(references)
    pieces = [slice(i, i + ROWS_AT_ONCE) for i in range(0, len(references), ROWS_AT_ONCE)]
    found = gathered(
        bench.keep,
        (
            NumberBlock(
                partial(key, "exact", bench.claim.data.identities[references[piece]]),
                Task(held, _expected, (references[piece], model[piece])),
            )
            for piece in pieces
        ),
        done,
    )
    table = [found[name][:, None] for name in EXPECTED]
    tally = Tally(bench.claim, bench.tree)
    tally.add_all(references)
    design = design_of(bench.claim, references, drawn=False)
    return Samples(
        references, model, table[0], table[1], table[2], table[3], tally.swaps(), tally.own_rest, design=design
    )


def _expected(
    held: tuple[ClaimBench, Exact], references: Int[np.ndarray, " row"], model: Float[np.ndarray, " row"]
) -> Arrays:
    """The expectations of `EXPECTED` for some reference rows."""
    bench, exact = held
    rows: list[list[float]] = []
    for reference, own in zip(references.tolist(), model, strict=True):
        score = RowScorer(bench, reference, own)
        answer, baseline = exact.answer(reference), exact.baseline(reference)
        rows.append([d.mean(f) for f in (score.metric, score.distance) for d in (answer, baseline)])
    return dict(zip(EXPECTED, np.array(rows).T, strict=True))


@frozen(eq=False)
class RowScorer:
    """The metric of answers for one reference row."""

    bench: ClaimBench
    reference: int
    own: float

    def metric(self, outputs: list[Any]) -> Float[np.ndarray, " n"]:
        rows = np.full(len(outputs), self.reference)
        return finite(self.bench.measured.of(outputs, rows), rows, "for some draws")

    def distance(self, outputs: list[Any]) -> Float[np.ndarray, " n"]:
        return np.abs(self.metric(outputs) - self.own)


def blocks_at_once(footprint: Footprint, numbering: Numbering) -> int:
    """How many blocks are computed in one go, where the memory alone bounds them."""
    held = footprint.holds([len(uses) for uses in numbering.uses])
    return max(1, min(BLOCKS_AT_ONCE, held // calls_at_once(footprint.program)))


def at_once(bench: ClaimBench) -> int:
    """How many calls are evaluated together."""
    return calls_at_once(bench.program)


def changed_at_once(tree: Occurrence) -> int:
    """How many changed claims are evaluated together."""
    return max(1, min(CHANGED_AT_ONCE, OCCURRENCES_AT_ONCE // sum(1 for _ in tree.walk())))


def calls_at_once(program: Program, claims: int = 1) -> int:
    """How many calls of each of several changed claims are evaluated together."""
    size = CALLS_AT_ONCE_EVERYWHERE if program.dense else CALLS_AT_ONCE
    return min(size, max(16, ANSWERS_AT_ONCE * size // claims))
