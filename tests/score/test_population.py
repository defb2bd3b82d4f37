"""The interval for the population: rows as donors and rests, against a slow count of pairs and by simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import scrub
from score.cases import SUM, bench_of, claim_of, graph, rows_of, sum_claim, sum_sample
from scrub import Hypothesis, Metric, nodes
from scrub.engine.draw import Draws
from scrub.score.compare import Rival, differences_of
from scrub.score.comparison import CANNOT_TELL
from scrub.score.intervals import corrected, expand
from scrub.score.population import Drawing, Picked, added, as_donors, wider_for_two
from scrub.score.power import influence
from scrub.score.sample import ClaimBench, chunks, sample

THRICE = sum_sample()
PLAIN_SUM = graph(out=lambda x, y: x + y)
SQUARED = Metric(lambda output, row: (output - row.columns["x"] - row.columns["y"]) ** 2, better="lower")


def halves_of_a_sum(rng: np.random.Generator, rows: int) -> list[Hypothesis]:
    """Of x + y, which are of one kind, one claim has x alone and one y alone."""
    pool = np.round(10 * rng.standard_normal((rows, 2))).astype(int).tolist()
    data = rows_of({"x": x, "y": y, "label": x + y} for x, y in pool)
    sites = {"y": "y", "answer": nodes("out").reads(y="y")}
    other = claim_of(SUM, {"answer": lambda y: y}, sites, data, metric=SQUARED)
    return [h.but(model=PLAIN_SUM) for h in (sum_claim(data, metric=SQUARED), other)]


def calls(rng: np.random.Generator, rows: int, draws: int, donors: float) -> tuple[np.ndarray, np.ndarray]:
    """What calls add, a row as a reference, as one of two donors and by chance, and the rows that they drew."""
    adds = donors * rng.standard_normal((2, rows))
    drawn = rng.integers(0, rows, (2, rows, draws))
    chance = 0.5 * rng.standard_normal((rows, draws))
    return rng.standard_normal((rows, 1)) + chance + adds[0][drawn[0]] + adds[1][drawn[1]], drawn


def added_by(made: np.ndarray, drawn: np.ndarray) -> float:
    every = Drawing.of(np.zeros(len(made), int))
    return added(made - made.mean(), np.arange(len(made)), [every] * 2, lambda: [Picked(slice(0, None), list(drawn))])


@pytest.mark.parametrize("draws", [1, 2, 20])
def test_the_variance_that_donors_add_is_found(draws: int) -> None:
    """Two donors of variance 0.5: they add 2 x 0.5 / rows, however few draws there are."""
    rng = np.random.default_rng(0)
    found = [added_by(*calls(rng, 100, draws, 0.5**0.5)) * 100 for _ in range(40)]
    assert np.mean(found) == pytest.approx(1.0, abs=0.2 if draws > 1 else 0.35)
    idle = [added_by(*calls(rng, 100, draws, 0.0)) * 100 for _ in range(40)]
    assert np.mean(idle) < 0.15


def test_the_value_of_the_population_is_covered() -> None:
    """Given the pool alone it is in 82 to 88 % of intervals."""
    rng, held = np.random.default_rng(1), list[bool]()
    for _ in range(200):
        made, drawn = calls(rng, 40, 10, 0.7)
        found = expand(made.mean(1)[:, None], lambda means: means[:, 0])
        assert found is not None
        low, high = corrected(found, 0.95)
        wider = np.sqrt(1 + added_by(made, drawn) / (found.influence**2).sum() * 40**2)
        held.append(found.value + wider * (low - found.value) <= 0 <= found.value + wider * (high - found.value))
    assert 0.91 <= np.mean(held) <= 0.99


ALIKE = np.zeros(36, int)


def column(bench: ClaimBench, name: str) -> np.ndarray:
    return np.array([row.columns[name] for row in bench.claim.data.rows])


def slowly(adds: np.ndarray, reference: np.ndarray, drawings: dict[str, tuple[np.ndarray, np.ndarray]]) -> float:
    """What donors add to the variance, by all pairs of calls; `drawings`: rows drawn, and classes."""
    draws, n = adds.shape[1], adds.size
    left = ((adds - adds.mean(1, keepdims=True)) * draws / (draws - 1)).ravel()
    rows = {name: drawn for name, (drawn, _) in drawings.items()}
    more = dict[str, np.ndarray]()
    for name, (drawn, code) in drawings.items():
        usual = np.array([left[code[drawn] == code[row]].mean() for row in drawn])
        size = np.array([(code == code[row]).sum() for row in drawn])
        more[name] = (left - usual) * np.sqrt(np.maximum(size, 2) / np.maximum(size - 1, 1))
    pairs = sum(
        more[a][i] * more[b][k]
        for a, b, i, k in product(rows, rows, range(n), range(n))
        if reference[i] != reference[k] and rows[a][i] == rows[b][k] not in (reference[i], reference[k])
    )
    own = dict(zip(reference[::draws].tolist(), adds.mean(1), strict=True))
    crossed = sum(own[rows[a][i]] * more[a][i] for a in rows for i in range(n) if rows[a][i] != reference[i])
    return pairs / n**2 + 2 * crossed / (n * len(own))


def test_it_is_the_slow_count_over_pairs_of_calls() -> None:
    """Of calls of two reference rows, what they share a row in: as a donor of x, or as the rest of the answer."""
    bench, draws = bench_of(sum_claim(THRICE)), 3
    samples = sample(bench, bench.claim.data.order, draws, 7)
    (every,) = chunks(samples.references, draws, 1000)
    drawn = Draws(bench.claim, 7).tree(bench.tree, every)
    (leaf,) = bench.tree.children
    donor, rest = drawn[leaf.path].own, drawn[bench.tree.path].rest[:, 0]
    wanted = slowly(
        influence(samples), every.reference, {"donor": (donor, column(bench, "x")), "rest": (rest, ALIKE)}
    )
    spread = as_donors(bench, samples, draws, 7)
    assert spread is not None
    assert spread.size == 36
    assert spread.pool / 36 == pytest.approx(max(0.0, wanted), rel=1e-9)


def test_of_two_claims_what_both_draw_counts_once() -> None:
    """x of one claim, y of the other, and the rest of the answer, which is one row for both."""
    benches, draws = list(map(bench_of, halves_of_a_sum(np.random.default_rng(2), 36))), 3
    first, second = (sample(bench, bench.claim.data.order, draws, 7) for bench in benches)
    (every,) = chunks(first.references, draws, 1000)
    trees = [Draws(bench.claim, 7).tree(bench.tree, every) for bench in benches]
    donors = [drawn[bench.tree.children[0].path].own for bench, drawn in zip(benches, trees, strict=True)]
    rests = [drawn[bench.tree.path].rest[:, 0] for bench, drawn in zip(benches, trees, strict=True)]
    assert rests[0].tolist() == rests[1].tolist()
    adds = first.scrubbed - second.scrubbed
    adds = adds - adds.mean()
    drawings = {"x": (donors[0], column(benches[0], "x")), "y": (donors[1], column(benches[1], "y"))}
    wanted = slowly(adds, every.reference, {**drawings, "rest": (rests[0], ALIKE)})
    given = (adds.mean(1) ** 2).sum() / 36**2
    assert wanted > 0.1 * given
    assert wider_for_two(benches, adds, first, 7) == pytest.approx((1 + wanted / given) ** 0.5, rel=1e-9)


def test_claims_that_are_equal_in_the_population_are_seldom_told_apart() -> None:
    """Given the pool alone one is better in a fifth of pools."""
    rng, apart = np.random.default_rng(5), 0
    for seed in range(40):
        benches = list(map(bench_of, halves_of_a_sum(rng, 60)))
        a, b = (Rival(str(n), bench, sample(bench, np.arange(60), 3, seed)) for n, bench in enumerate(benches))
        (found,) = differences_of([a, b], 3, seed)
        apart += found.verdict != CANNOT_TELL
    assert apart <= 3


@pytest.mark.parametrize("exact", [False, True])
def test_a_result_has_both_intervals_and_is_judged_by_the_wider(exact: bool) -> None:
    """y comes from the rest, and 36 rows have few of each: other pools have others."""
    result = scrub.test(sum_claim(THRICE), draws=20, exact=exact, explain=False, controls="none")
    made = result.to_dict()
    assert set(made["population"]) == {"low", "high"}
    assert made["population"]["low"] < made["recovered"]["low"] - 0.001
    assert made["population"]["high"] > made["recovered"]["high"] + 0.001
    assert "population" in str(result)
    between = (made["population"]["low"] + made["recovered"]["low"]) / 2
    doubtful = sum_claim(THRICE, expect=scrub.recovers(between))
    found = scrub.test(doubtful, draws=20, exact=exact, explain=False, controls="none")
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("for the population that the pool is a sample of, [")
