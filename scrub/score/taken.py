"""A claim without some of its parts, on the rows and draws of its own sample: what is lost is paired with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float, Int

from scrub.claims.parts import ClaimPart
from scrub.engine.draw import Calls, Drawn, Draws
from scrub.engine.exact import Exact
from scrub.engine.on_graph import GraphEvaluator
from scrub.engine.plan import compile_tree
from scrub.engine.unroll import Occurrence
from scrub.engine.without import without
from scrub.errors import MetricError, ModelError
from scrub.model.workers import Task
from scrub.score.blocks import Arrays, NumberBlock, key
from scrub.score.cost import few_draws
from scrub.score.design import SAMPLE, sampled_draws
from scrub.score.result import ratio
from scrub.score.sample import ROWS_AT_ONCE, ClaimBench, RowScorer, Samples, calls_at_once, changed_at_once, chunks
from scrub.score.statistics import Interval, interval

Dropped = frozenset[ClaimPart]
Places = Int[np.ndarray, " n"]  # of reference rows, in the sample


@frozen(eq=False)
class Taken:
    """A sampled claim from which parts are taken away. `exact` enumerates, else a few of the draws are made again."""

    bench: ClaimBench
    samples: Samples
    seed: int
    exact: bool = False
    done: Callable[[int], None] = lambda _: None

    @property
    def draws(self) -> range:
        """The first few draws of the claim's own."""
        return range(1 if self.exact else few_draws(self.samples.scrubbed.shape[1]))

    @property
    def everyone(self) -> Places:
        return np.arange(len(self.samples.references))

    def whole(self, draws: range) -> Float[np.ndarray, " row"]:
        """The scrubbed metric of the claim itself: means over some of its draws."""
        return self.samples.scrubbed[:, draws.start : draws.stop].mean(1)

    def without(self, sets: Sequence[Dropped], at: Places, draws: range) -> Float[np.ndarray, "row set"]:
        """The scrubbed metric without each set of parts: means over some of the claim's draws.

        NaN where a model's functions or its metric cannot take values that never meet in the claim.
        """
        return self.changed([without(self.bench.tree, dropped) for dropped in sets], at, draws)

    def changed(self, roots: Sequence[Occurrence], at: Places, draws: range) -> Float[np.ndarray, "row root"]:
        """The scrubbed metric of changed trees of the claim; NaN where one cannot be run."""
        found, references = np.zeros((len(at), len(roots))), self.samples.references[at]
        together = changed_at_once(self.bench.tree)
        for start in range(0, len(roots) if len(at) else 0, together):  # a single row has no other half
            some = slice(start, start + together)
            found[:, some] = self._those_that_can(roots[some], references, draws)
        return found

    def _those_that_can(
        self, roots: Sequence[Occurrence], references: Int[np.ndarray, " row"], draws: range
    ) -> Float[np.ndarray, "row root"]:
        """All trees together; where one cannot be run, by halves, so that the others can."""
        try:
            return self._some(roots, references, draws)
        except (MetricError, ModelError):
            if len(roots) == 1:
                return np.full((len(references), 1), np.nan)
        half = len(roots) // 2
        parts = [self._those_that_can(some, references, draws) for some in (roots[:half], roots[half:])]
        return np.concatenate(parts, axis=1)

    def loss(self, dropped: Dropped, at: Places) -> float:
        """What a set costs, as one number: on the scale of all rows, since that of a few may be nothing."""
        more = self.without([dropped], at, self.draws).mean() - self.whole(self.draws)[at].mean()
        return float(more / (self.samples.random.mean() - self.samples.top.mean()))

    def interval(self, less: np.ndarray, more: np.ndarray, at: Places) -> Interval:
        """What is recovered less with `more` taken away than with `less`, both columns of `without` or `whole`."""
        columns = np.column_stack([less, self.samples.random[at].mean(1), self.samples.top[at], more])
        design = self.samples.design if len(at) == len(self.samples.references) else SAMPLE
        return interval(columns, lost, self.seed, sampled_draws(design) if not self.exact else design)

    def _some(
        self, roots: Sequence[Occurrence], references: Int[np.ndarray, " row"], draws: range
    ) -> Float[np.ndarray, "row root"]:
        bench = evolve(self.bench, program=compile_tree(self.bench.claim, *roots))
        blocks = self._enumerated(bench, references) if self.exact else self._drawn(bench, references, draws)
        found = bench.gathered(blocks, lambda calls: self.done(calls * len(roots)))["without"]
        return found.reshape(len(references), len(draws), len(roots)).mean(1)

    def _drawn(self, bench: ClaimBench, references: Int[np.ndarray, " row"], draws: range) -> Iterator[NumberBlock]:
        """A block for every piece of the calls, one column for each root."""
        made, roots = Draws(bench.claim, self.seed), bench.program.roots
        for piece in chunks(references, len(draws), calls_at_once(bench.program, len(roots))):
            calls = Calls(piece.reference, piece.draw + draws.start)
            drawn = made.trees(roots, calls)
            yield NumberBlock(partial(_key, bench, roots, calls, drawn), Task(bench, _scrubbed, (calls, drawn)))

    def _enumerated(self, bench: ClaimBench, references: Int[np.ndarray, " row"]) -> Iterator[NumberBlock]:
        assert isinstance(bench.evaluator, GraphEvaluator)
        exact, roots = Exact(bench.evaluator, Draws(bench.claim, self.seed)), bench.program.roots
        held = bench, exact
        for start in range(0, len(references), ROWS_AT_ONCE):
            rows = references[start : start + ROWS_AT_ONCE]
            told = partial(key, "exact without", *_names(roots), bench.claim.data.identities[rows])
            yield NumberBlock(told, Task(held, _expected, (rows,)))


def lost(columns: np.ndarray) -> np.ndarray:
    """What is recovered less, from means of (scrubbed, random, top, scrubbed with more taken away)."""
    return ratio(columns) - ratio(columns[:, [3, 1, 2]])


def _names(roots: Sequence[Occurrence]) -> list[str]:
    """The paths of the answers say what was taken away."""
    return [root.path for root in roots]


def _key(bench: ClaimBench, roots: Sequence[Occurrence], calls: Calls, drawn: dict[str, Drawn]) -> str:
    return key("without", *_names(roots), *bench.told(calls, drawn))


def _scrubbed(bench: ClaimBench, calls: Calls, drawn: dict[str, Drawn]) -> Arrays:
    found = bench.scrubbed(calls, drawn)
    return {"without": found.reshape(-1, len(calls)).T}


def _expected(held: tuple[ClaimBench, Exact], references: Int[np.ndarray, " row"]) -> Arrays:
    bench, exact = held
    scorers = [(reference, RowScorer(bench, reference, 0.0)) for reference in references.tolist()]
    table = [[exact.answer(row, root).mean(score.metric) for root in bench.program.roots] for row, score in scorers]
    return {"without": np.array(table)}
