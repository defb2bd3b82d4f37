"""exact=True is the expectation of what is sampled: against enumeration by the oracle, and against many draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from attrs import evolve, field, frozen
from graph_cases import ERROR, bench_of, claim_of, feature, graph_of

import scrub
from reference import Dropped, Oracle
from reference_worlds import OnGraph
from scrub import Dataset, Interpretation, Metric, nodes
from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Draws
from scrub.engine.exact import Answers, Exact
from scrub.engine.plan import compile_tree
from scrub.engine.without import without
from scrub.model.computation import Computation
from scrub.score.result import ratio
from scrub.score.sample import ClaimBench, enumerate_exactly, sample
from scrub.score.statistics import interval
from strategies import checked, random_graph_claim, some_sets

ROWS, OUTCOMES, CASES = 4, 100, 60
Distribution = dict[Any, float]


@frozen
class Chooser(Oracle):
    """The oracle with draws that follow a script; what the script leaves open takes the first candidate."""

    script: dict[tuple[str, str], int] = field(factory=dict)
    met: dict[tuple[str, str], int] = field(factory=dict)  # draw -> number of candidates, in order of first use

    def draw(self, kind: str, path: str, candidates: list[int]) -> int:
        """One choice for each (kind, path), as a draw depends on nothing else."""
        self.met.setdefault((kind, path), len(candidates))
        return sorted(candidates)[self.script.get((kind, path), 0)]


def enumerated(claim: Claim, world: OnGraph, reference: int, dropped: Dropped = frozenset()) -> Distribution:
    """The distribution of the answer over all ways in which the rows can be drawn."""
    found: Distribution = {}
    for value, probability in _ways(claim, world, reference, dropped):
        found[value] = found.get(value, 0.0) + probability
    return found


def _ways(claim: Claim, world: OnGraph, reference: int, dropped: Dropped) -> Iterator[tuple[Any, float]]:
    output = claim.placement.output
    site = claim.placement.placed[output].sites[0]
    script: dict[tuple[str, str], int] = {}
    for _ in range(OUTCOMES):
        oracle = Chooser(claim, world, 0, reference, 0, [], dict(script), dropped=dropped)
        (value,) = oracle.run(output, site, reference, "answer").values()
        yield value, float(np.prod([1 / n for n in oracle.met.values()]))
        taken = {draw: script.get(draw, 0) for draw in oracle.met}
        while taken and next(reversed(taken.values())) + 1 == oracle.met[next(reversed(taken))]:
            taken.popitem()
        if not taken:
            return
        last = next(reversed(taken))
        script = {**taken, last: taken[last] + 1}
    raise OverflowError


@cache
def small_claims() -> list[tuple[Claim, Computation]]:
    """Random claims about random graphs, cut to four rows, that can be enumerated."""
    found: list[tuple[Claim, Computation]] = []
    for seed in range(4 * CASES):
        hypothesis, model, data = random_graph_claim(Random(f"exact {seed}"))
        few = Dataset(data.rows[:ROWS])
        claim = checked(evolve(hypothesis, data=few), model, few)
        if claim is not None:
            found.append((claim, model))
    return found


def mean(distribution: Mapping[Any, float], power: int = 1) -> float:
    return sum(p * value**power for value, p in distribution.items())


def moment(answers: Answers, power: int = 1) -> float:
    return answers.mean(lambda values: np.array(values, dtype=float) ** power)


def test_exact_is_the_enumeration_of_every_draw() -> None:
    """Means and mean squares of the answer, on claims with every kind of option."""
    met: dict[str, int] = {}
    compared = 0
    for claim, model in small_claims():
        exact = Exact(bench_of(claim.hypothesis, model).evaluator, Draws(claim, 0))
        try:
            world = OnGraph(claim, model)
            expected = {row: enumerated(claim, world, row) for row in (0, ROWS - 1)}
        except OverflowError:
            continue
        for row, distribution in expected.items():
            got = exact.answer(row)
            assert got.weights.sum() == pytest.approx(1)
            for power in (1, 2):
                assert moment(got, power) == pytest.approx(mean(distribution, power), rel=1e-9, abs=1e-9)
        for name in features(claim):
            met[name] = met.get(name, 0) + 1
        compared += 1
    assert compared >= CASES
    wanted = ["together", "linked", "omits", "through", "rest_rows", "within", "several sites", "deep"]
    wanted += [f"rest={r}" for r in ("resample", "keep", "paired", "mean", "zero")]
    wanted += [f"scope={s}" for s in ("occurrence", "input", "draw")]
    assert {name: met.get(name, 0) for name in wanted if not met.get(name)} == {}


def test_exact_without_parts_is_the_enumeration_of_the_claim_without_them() -> None:
    """Several changed claims at once, which share what is equal in them."""
    compared = 0
    for seed, (claim, model) in enumerate(small_claims()):
        if seed % 3 or compared >= 20:
            continue
        bench = bench_of(claim.hypothesis, model)
        sets = some_sets(bench.claim, Random(seed))
        roots = tuple(without(bench.tree, dropped) for dropped in sets)
        bench = evolve(bench, program=compile_tree(bench.claim, *roots))
        exact, world = Exact(bench.evaluator, Draws(bench.claim, 0)), OnGraph(bench.claim, model)
        try:
            for dropped, root in zip(sets, roots, strict=True):
                expected = enumerated(bench.claim, world, ROWS - 1, dropped)
                got = exact.answer(ROWS - 1, root)
                assert moment(got) == pytest.approx(mean(expected), rel=1e-9, abs=1e-9)
                assert moment(got, 2) == pytest.approx(mean(expected, 2), rel=1e-9, abs=1e-9)
        except OverflowError:
            continue
        compared += 1
    assert compared >= 10


def features(claim: Claim) -> Iterator[str]:
    options, placed = claim.options, [claim.placement.placed[name] for name in claim.placement.reached()]
    sites = [site for p in placed for site in p.sites]
    called = [{m for m in site.parents()} for site in sites]
    yield f"rest={options.rest}"
    yield f"scope={options.rest_scope}"
    if any(len(set(group) & call) > 1 for group in options.together for call in called):
        yield "together"
    if any(site.site.is_linked for site in sites):
        yield "linked"
    if any(site.site.omitted for site in sites):
        yield "omits"
    if any(len(p.sites) > 1 for p in placed):
        yield "several sites"
    if any(p.parents for p in placed[1:]):
        yield "deep"
    for name in ("through", "rest_rows", "within"):
        if getattr(options, name):
            yield name


def test_the_exact_baseline_is_the_mean_over_the_rows_that_may_be_drawn() -> None:
    rests: set[str] = set()
    for claim, model in small_claims():
        exact = Exact(bench_of(claim.hypothesis, model).evaluator, Draws(claim, 0))
        world, options = OnGraph(claim, model), claim.options
        (component,) = claim.placement.placed[claim.placement.output].sites[0].site.components
        for row in range(ROWS):
            found: list[Any] = []
            kind = "resample" if options.rest == "keep" else options.rest
            for choice in range(ROWS):
                oracle = Chooser(claim, world, 0, row, 0, [], {("rest", "answer"): choice})
                frame = oracle.frame(kind, row, "answer")
                context = world.context(frame, {})
                channels = dict.fromkeys(claim.graph.channels(component), context)
                found.append(world.compute(component, channels, context))
                if choice + 1 >= oracle.met.get(("rest", "answer"), 1):
                    break
            assert moment(exact.baseline(row)) == pytest.approx(sum(found) / len(found), rel=1e-9, abs=1e-9)
        rests.add(options.rest)
    assert rests == {"resample", "keep", "paired", "mean", "zero"}


DRAWS = 3000


def test_exact_is_what_many_draws_average_to() -> None:
    """Within five standard errors, for claims of six to twelve rows."""
    compared = 0
    for seed in range(25):
        hypothesis, model, _ = random_graph_claim(Random(f"many {seed}"))
        bench = bench_of(evolve(hypothesis, metric=Metric(lambda output, row: output)), model)
        reference = int(np.flatnonzero(bench.claim.scored)[0])
        answer = Exact(bench.evaluator, Draws(bench.claim, 0)).answer(reference)
        calls = Calls(np.full(DRAWS, reference), np.arange(DRAWS))
        got = bench.scrubbed(calls, Draws(bench.claim, seed).tree(bench.tree, calls))
        spread = (max(moment(answer, 2) - moment(answer) ** 2, 0) / DRAWS) ** 0.5
        assert abs(got.mean() - moment(answer)) < 5 * spread + 1e-9
        compared += spread > 1e-6
    assert compared > 10


def half_claim(step: int = 1) -> ClaimBench:
    """200 rows of which half of the input is claimed, up to the digit's multiple of `step`."""
    graph = graph_of(a=lambda x: 2 * x, b=lambda x: 3 * x, out=lambda a, b: a + b)
    story = Interpretation()
    story.variable(feature("u", "x", lambda x: x // step))
    story.variable(feature("answer", "u", lambda u: u))
    sites = {"u": nodes("a"), "answer": nodes("out").reads(a="u")}
    rows = [{"x": i % 10, "label": 5 * (i % 10)} for i in range(200)]
    return bench_of(claim_of(graph, story, sites, rows, metric=ERROR))


def test_the_public_function_enumerates() -> None:
    bench = half_claim()
    result = scrub.test(bench.claim.hypothesis, exact=True, explain=False)
    assert result.metric.scrubbed == pytest.approx(9.9)
    assert result.metric.random == pytest.approx(16.5)
    assert result.recovered.value == pytest.approx(0.4)
    assert result.draws is None
    sampled = scrub.test(bench.claim.hypothesis, draws=50, explain=False)
    assert sampled.recovered.value == pytest.approx(0.4, abs=0.02)


def with_replacement(bench: ClaimBench, seed: int, rows: int, draws: int) -> np.ndarray:
    """Columns of reference rows drawn with replacement; one drawn again gets draws of its own."""
    chosen = np.random.default_rng(seed).integers(len(bench.claim.data), size=rows)
    distinct, inverse, counts = np.unique(chosen, return_inverse=True, return_counts=True)
    samples = sample(bench, distinct, draws * int(counts.max()), seed)
    again = [int((inverse[:i] == row).sum()) for i, row in enumerate(inverse)]
    tables = (samples.scrubbed, samples.random)
    means = [
        [table[row, k * draws : (k + 1) * draws].mean() for row, k in zip(inverse, again, strict=True)]
        for table in tables
    ]
    return np.column_stack([*means, samples.model[inverse]])


def covered(bench: ClaimBench, seeds: range, rows: int, draws: int) -> float:
    """How often the interval of `recovered` holds the exact value."""
    exact = enumerate_exactly(bench, np.arange(len(bench.claim.data)), 0).columns.mean(0)[None]
    truth, hits = float(ratio(exact)[0]), 0
    for seed in seeds:
        found = interval(with_replacement(bench, seed, rows, draws), ratio, seed)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    return hits / len(seeds)


def test_the_interval_holds_the_exact_value_in_most_seeds() -> None:
    share = covered(half_claim(4), range(80), rows=80, draws=3)
    assert 0.86 <= share <= 1  # 95 %, give or take 3 here


@pytest.mark.slow
def test_the_interval_holds_the_exact_value_in_95_percent_of_seeds() -> None:
    share = covered(half_claim(4), range(500), rows=150, draws=4)
    assert 0.92 <= share <= 0.975  # one standard error of 500 seeds is 1 %
