"""Drawing, evaluating and measuring a claim: numbers for every reference row and draw."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import cached_property
from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Float, Int

from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Drawn, Draws, Swap
from scrub.engine.exact import Exact, expectation
from scrub.engine.number import Numbering
from scrub.engine.on_graph import GraphEvaluator, GraphRows
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.engine.plan import Program, compile_tree
from scrub.engine.unroll import Occurrence, unroll
from scrub.errors import ClaimError
from scrub.score.diagnostics import Swaps, Tally
from scrub.score.measure import Measured
from scrub.score.metrics import finite

CALLS_AT_ONCE = 512
CALLS_AT_ONCE_EVERYWHERE = 128  # streams at every position are as many times larger

Table = Float[np.ndarray, "row draw"]


@frozen(eq=False, slots=False)
class Bench:
    """A claim set up on its model: the pool was run, programs can be evaluated and answers measured."""

    claim: Claim
    tree: Occurrence
    program: Program
    rows: GraphRows | TransformerRows
    measured: Measured

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

    def scrubbed(self, calls: Calls, drawn: dict[str, Drawn]) -> Float[np.ndarray, " call"]:
        """The metric of the scrubbed answer of every call."""
        outputs = self.evaluator.answers(self.numbering.number(drawn))
        return finite(self.measured.of(outputs, calls.reference), calls.reference, "for the scrubbed model")

    def random(self, calls: Calls, draws: Draws) -> Float[np.ndarray, " call"]:
        """The metric of the empty claim for every call."""
        outputs = self.rows.whole(draws.baseline(self.tree, calls))
        return finite(self.measured.of(outputs, calls.reference), calls.reference, "for a random row")


def compile_claim(claim: Claim) -> tuple[Occurrence, Program]:
    tree = unroll(claim)
    return tree, compile_tree(claim, tree)


@frozen(eq=False)
class Samples:
    """Numbers by reference row and draw (one column when exact); distances are |metric - the model's metric|.

    `swaps` tells what the draws were like; `own_rest` counts calls that found no rest row (`empty="self"`).
    """

    references: Int[np.ndarray, " row"]
    model: Float[np.ndarray, " row"]
    scrubbed: Table
    random: Table
    scrubbed_distance: Table
    random_distance: Table
    swaps: tuple[Swaps, ...] = ()
    own_rest: float = 0

    @property
    def columns(self) -> Float[np.ndarray, "row k"]:
        """Row means of scrubbed, random, model and the two distances: what the bootstrap keeps together."""
        means = [x.mean(1) for x in (self.scrubbed, self.random, self.scrubbed_distance, self.random_distance)]
        return np.stack([means[0], means[1], self.model, means[2], means[3]], axis=1)


def chunks(references: Int[np.ndarray, " row"], draws: int, size: int) -> list[Calls]:
    """All (row, draw) pairs in pieces of at most `size`."""
    rows, numbers = np.repeat(references, draws), np.tile(np.arange(draws), len(references))
    return [Calls(rows[i : i + size], numbers[i : i + size]) for i in range(0, len(rows), size)]


def sample(
    bench: Bench, references: Int[np.ndarray, " row"], draws: int, seed: int,
    done: Callable[[int], None] = lambda _: None,
) -> Samples:  # fmt: skip
    """Sample a claim: every reference row with every draw. `done(n)` hears of calls that were evaluated."""
    made, tally = Draws(bench.claim, seed), Tally(bench.claim, bench.tree)
    scrubbed: list[Float[np.ndarray, " n"]] = []
    random: list[Float[np.ndarray, " n"]] = []
    for calls in chunks(references, draws, _at_once(bench)):
        drawn = made.tree(bench.tree, calls)
        tally.add(drawn)
        scrubbed.append(bench.scrubbed(calls, drawn))
        random.append(bench.random(calls, made))
        done(len(calls))
    model = bench.model_scores(references)
    size = (len(references), draws)
    s, r = np.concatenate(scrubbed).reshape(size), np.concatenate(random).reshape(size)
    distances = np.abs(s - model[:, None]), np.abs(r - model[:, None])
    return Samples(references, model, s, r, *distances, tally.swaps(), tally.own_rest)


def resample_only(
    bench: Bench, references: Int[np.ndarray, " row"], draws: int, seed: int, made: Container[Swap]
) -> Table:
    """The scrubbed metric when only some swaps are made; the others use the calling row itself."""
    some = Draws(bench.claim, seed, made)
    found = [
        bench.scrubbed(calls, some.tree(bench.tree, calls)) for calls in chunks(references, draws, _at_once(bench))
    ]
    return np.concatenate(found).reshape(len(references), draws)


def enumerate_exactly(
    bench: Bench, references: Int[np.ndarray, " row"], seed: int, done: Callable[[int], None] = lambda _: None
) -> Samples:
    """The exact expectations, on a computation graph. Raises ClaimError on a transformer."""
    if not isinstance(bench.evaluator, GraphEvaluator):
        raise ClaimError("exact=True enumerates every draw, which only a computation graph allows: drop --exact.")
    exact = Exact(bench.evaluator, Draws(bench.claim, seed))
    model = bench.model_scores(references)
    found: list[list[float]] = []
    for reference, own in zip(references.tolist(), model, strict=True):
        score = _Scorer(bench, reference, own)
        answer, baseline = exact.answer(reference), exact.baseline(reference)
        found.append([expectation(d, f) for f in (score.metric, score.distance) for d in (answer, baseline)])
        done(1)
    table = np.array(found)[:, :, None]
    tally = Tally(bench.claim, bench.tree)
    tally.add_all(references)
    scores = table[:, 0], table[:, 1], table[:, 2], table[:, 3]
    return Samples(references, model, *scores, tally.swaps(), tally.own_rest)


@frozen(eq=False)
class _Scorer:
    """The metric of answers for one reference row."""

    bench: Bench
    reference: int
    own: float

    def metric(self, outputs: list[Any]) -> Float[np.ndarray, " n"]:
        rows = np.full(len(outputs), self.reference)
        return finite(self.bench.measured.of(outputs, rows), rows, "for some draws")

    def distance(self, outputs: list[Any]) -> Float[np.ndarray, " n"]:
        return np.abs(self.metric(outputs) - self.own)


def _at_once(bench: Bench) -> int:
    return CALLS_AT_ONCE_EVERYWHERE if bench.program.dense else CALLS_AT_ONCE
