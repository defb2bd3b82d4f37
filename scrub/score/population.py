"""The interval for the population that the pool is a sample of: rows are donors and rests too, not references alone.

Every row of the pool is one observation, in all its roles. What it adds to `recovered` is, as a reference, the mean
of its calls, and wherever it was drawn, what the calls that drew it differ by from others that drew from the same
class. The variance of the sum of these counts a call once for each of its rows, and what is chance in single draws is
taken away: pairs of calls that share a row, not of one reference row, carry it. That is the sandwich of Cameron,
Gelbach and Miller ("Robust Inference With Multiway Clustering", 2011) for as many ways as a call has rows; the
pigeonhole bootstrap (Owen 2007) estimates the same variance with the chance left in. Draws are made again from their
seed, no model runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float, Int

from scrub.engine.draw import Drawn, Draws, all_swaps
from scrub.engine.unroll import Occurrence, rest_paths
from scrub.score.design import SAMPLE
from scrub.score.power import Spread, influence
from scrub.score.sample import ClaimBench, Samples, chunks, sample
from scrub.score.statistics import Interval

CELLS = 1_000_000  # of a table of reference rows by pool rows
CALLS = 4096
EXACT_DRAWS = 8  # that stand in where every draw was enumerated
Pool = Int[np.ndarray, " pool"]


@frozen(eq=False)
class Drawing:
    """One row that every call draws: the class of each row of the pool, and how many of that class can be drawn."""

    code: Pool
    size: Pool

    @classmethod
    def of(cls, code: Pool, eligible: np.ndarray | None = None) -> Drawing:
        every = np.bincount(code if eligible is None else code[eligible], minlength=int(code.max()) + 1)
        return cls(code, every[code])


@frozen(eq=False)
class Picked:
    """The rows that some reference rows drew, in the order of the drawings; `at` says which reference rows."""

    at: slice
    rows: list[Int[np.ndarray, "row draw"]]


def as_donors(bench: ClaimBench, samples: Samples, draws: int | None, seed: int) -> Spread | None:
    """The spread of what is recovered over rows, draws and the pool; None where there is nothing to recover.

    Where draws were enumerated, eight of them for each row tell what the rows of the pool do as donors.
    """
    spread = Spread.of(samples)
    if spread is None or samples.design != SAMPLE:  # a whole domain has no other donors
        return spread
    drawn = drawn_of(bench, samples, draws, seed)
    swaps = _Swaps(bench, drawn.references, drawn.scrubbed.shape[1], seed)
    size = len(bench.claim.data)
    return evolve(
        spread, pool=size * added(influence(drawn), drawn.references, swaps.drawings, swaps.picked), size=size
    )


def for_population(given: Interval, spread: Spread | None, samples: Samples) -> Interval:
    """The interval of `recovered` for the population: that given the pool, as much wider as its standard error."""
    if spread is None:
        return given
    return given.widened(_wider(influence(samples), spread.pool / spread.size))


def _wider(adds: Float[np.ndarray, "row draw"], more: float) -> float:
    """How many times wider an interval over rows is with the variance that the pool adds."""
    means = adds.mean(1)
    error = float((means**2).sum()) / len(means) ** 2
    return math.sqrt(1 + more / error) if error > 0 else 1.0


def drawn_of(bench: ClaimBench, samples: Samples, draws: int | None, seed: int) -> Samples:
    """The samples themselves, or the few draws that stand in where every draw was enumerated."""
    few = draws is None and samples.design == SAMPLE
    return sample(bench, samples.references, EXACT_DRAWS, seed) if few else samples


def wider_for_two(
    benches: Sequence[ClaimBench], adds: Float[np.ndarray, "row draw"], drawn: Samples, seed: int
) -> float:
    """How many times wider the interval of a paired difference is for the population than given the pool.

    `adds` is what each call adds to the difference. What both claims draw as one is one drawing.
    """
    if not np.isfinite(adds).all() or drawn.design != SAMPLE:
        return 1.0
    references = _ranks(benches[0])[drawn.references]
    both = _Both.of([_Swaps(b, b.claim.data.order[references], adds.shape[1], seed) for b in benches])
    return _wider(adds, added(adds, references, both.drawings, both.picked))


def _ranks(bench: ClaimBench) -> Pool:
    """Where each row of the pool stands in the order of row identities, which all rivals share."""
    return np.argsort(bench.claim.data.order)


def added(
    adds: Float[np.ndarray, "row draw"], references: Int[np.ndarray, " row"], drawings: list[Drawing],
    picked: Callable[[], Iterable[Picked]],
) -> float:  # fmt: skip
    """The variance that rows of the pool add as donors and rests to that of the mean of reference rows; at least 0.

    `adds` is what each call adds to the statistic, its sum is 0.
    """
    (n, draws), means = adds.shape, adds.mean(1)
    given = float((means**2).sum()) / n**2
    if not np.isfinite(adds).all() or not drawings:
        return 0.0
    # what a call differs by from its row's, unbiased for the shares of two calls of two rows in what they share
    left = adds if draws == 1 else (adds - means[:, None]) * (draws / (draws - 1))
    usual = _class_means(left, drawings, picked)
    pool = len(drawings[0].code)
    adds_by, chance = np.zeros(pool), 0.0
    for some in picked():
        table = _by_reference(left[some.at], references[some.at], some, drawings, usual)
        adds_by += table.sum(0)
        chance += float((table**2).sum())
    adds_by /= n * draws
    np.add.at(adds_by, references, means / n)
    total = float((adds_by**2).sum()) - chance / (n * draws) ** 2
    return max(0.0, total - given)


def _class_means(
    left: Float[np.ndarray, "row draw"], drawings: list[Drawing], picked: Callable[[], Iterable[Picked]]
) -> list[np.ndarray]:
    """Of each drawing and class, the mean of the calls that drew from it."""
    kinds = [int(d.code.max()) + 1 for d in drawings]
    sums, counts = [np.zeros(k) for k in kinds], [np.zeros(k) for k in kinds]
    for some in picked():
        weights = left[some.at].ravel()
        for d, rows, total, number in zip(drawings, some.rows, sums, counts, strict=True):
            code = d.code[rows.ravel()]
            total += np.bincount(code, weights, len(total))
            number += np.bincount(code, minlength=len(number))
    return [total / np.maximum(number, 1) for total, number in zip(sums, counts, strict=True)]


def _by_reference(
    left: Float[np.ndarray, "row draw"], references: Int[np.ndarray, " row"], some: Picked, drawings: list[Drawing],
    usual: list[np.ndarray],
) -> Float[np.ndarray, "row pool"]:  # fmt: skip
    """What each row of the pool adds where it was drawn, by reference row; nothing where it is that row itself."""
    n, pool = len(left), len(drawings[0].code)
    table, own = np.zeros(n * pool), np.arange(n)[:, None] * pool
    for d, rows, mean in zip(drawings, some.rows, usual, strict=True):
        size = np.maximum(d.size[rows], 2)
        more = (left - mean[d.code[rows]]) * np.sqrt(size / (size - 1))  # few rows lie nearer to their own mean
        more[rows == references[:, None]] = 0
        table += np.bincount((own + rows).ravel(), more.ravel(), len(table))
    return table.reshape(n, pool)


class _Swaps:
    """The drawings of a claim, and the rows that they drew."""

    def __init__(self, bench: ClaimBench, references: Int[np.ndarray, " row"], draws: int, seed: int) -> None:
        self.bench, self.references, self.draws = bench, references, draws
        self.made = Draws(bench.claim, seed)
        self.swaps = list(_independent(bench))
        claim = bench.claim
        rests = Drawing.of(claim.stratum, claim.rest_from)
        self.drawings = [
            rests if path is not None else Drawing.of(claim.classes(node.agree)) for node, path in self.swaps
        ]
        self.names: list[Hashable] = [(path, node.donor if path is None else None) for node, path in self.swaps]
        options = claim.options
        self.apart = options.rest == "keep" or (options.rest == "resample" and options.rest_scope == "input")
        if self.apart:  # the empty claim reads a row of its own
            self.drawings.append(rests)
            self.names.append("the empty claim's own row")

    def picked(self) -> Iterator[Picked]:
        """In pieces of whole reference rows, as the same seed drew them."""
        rows = max(1, min(CALLS // self.draws, CELLS // len(self.bench.claim.data)))
        for start in range(0, len(self.references), rows):
            at = slice(start, start + rows)
            n = len(self.references[at])
            (calls,) = chunks(self.references[at], self.draws, n * self.draws)
            drawn = self.made.tree(self.bench.tree, calls)
            found = [self._rows(drawn, node, path) for node, path in self.swaps]
            if self.apart:
                found.append(self.made.baseline(self.bench.tree, calls))
            yield Picked(at, [rows.reshape(n, self.draws) for rows in found])

    def _rows(self, drawn: dict[str, Drawn], node: Occurrence, path: str | None) -> Int[np.ndarray, " call"]:
        if path is None:
            return drawn[node.path].own
        return drawn[node.path].rest[:, rest_paths(self.bench.claim, node).index(path)]


@frozen(eq=False)
class _Both:
    """The drawings of two claims, of rows in the order of their identities; what both draw as one is one.

    `kept` are, of each claim, those that no earlier one has.
    """

    swaps: Sequence[_Swaps]
    kept: list[list[int]]
    drawings: list[Drawing]

    @classmethod
    def of(cls, swaps: Sequence[_Swaps]) -> _Both:
        known, kept = dict[Hashable, Drawing](), [list[int]() for _ in swaps]
        for claim, mine in zip(swaps, kept, strict=True):
            order = claim.bench.claim.data.order
            for number, (name, drawing) in enumerate(zip(claim.names, claim.drawings, strict=True)):
                moved = Drawing(drawing.code[order], drawing.size[order])
                key = name, moved.code.tobytes(), moved.size.tobytes()
                if key not in known:
                    known[key] = moved
                    mine.append(number)
        return cls(swaps, kept, list(known.values()))

    def picked(self) -> Iterator[Picked]:
        ranks = [_ranks(claim.bench) for claim in self.swaps]
        for pieces in zip(*(claim.picked() for claim in self.swaps), strict=True):
            each = zip(pieces, ranks, self.kept, strict=True)
            yield Picked(pieces[0].at, [rank[piece.rows[i]] for piece, rank, mine in each for i in mine])


def _independent(bench: ClaimBench) -> Iterator[tuple[Occurrence, str | None]]:
    """Every row that is drawn for itself: the first occurrence that takes it, and the path of a rest."""
    for (path, kind), nodes in all_swaps(bench.tree, bench.claim).items():
        if kind == "donor":
            yield nodes[0], None
        elif bench.claim.options.rest == "resample":  # a paired row follows from the row that it is the partner of
            yield nodes[0], path
