"""The interval for the population: rows as donors and rests, against a slow count of pairs and by simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import scrub
from score.cases import bench_of, sum_claim, sum_sample
from scrub.engine.draw import Draws
from scrub.score.intervals import corrected, expand
from scrub.score.population import Drawing, Picked, added, as_donors
from scrub.score.power import influence
from scrub.score.sample import chunks, sample

THRICE = sum_sample()


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


def test_it_is_the_slow_count_over_pairs_of_calls() -> None:
    """Of calls of two reference rows, what they share a row in: as a donor of x, or as the rest of the answer."""
    bench, draws = bench_of(sum_claim(THRICE)), 3
    samples = sample(bench, bench.claim.data.order, draws, 7)
    (every,) = chunks(samples.references, draws, 1000)
    drawn = Draws(bench.claim, 7).tree(bench.tree, every)
    (leaf,) = bench.tree.children
    adds = influence(samples)
    left = ((adds - adds.mean(1, keepdims=True)) * draws / (draws - 1)).ravel()
    value = np.array([row.columns["x"] for row in bench.claim.data.rows])
    donor, rest = drawn[leaf.path].own, drawn[bench.tree.path].rest[:, 0]
    more = {
        "donor": (left - [left[value[donor] == value[d]].mean() for d in donor]) * np.sqrt(12 / 11),
        "rest": (left - left.mean()) * np.sqrt(36 / 35),
    }
    rows, reference, n = {"donor": donor, "rest": rest}, every.reference, len(left)
    pairs = sum(
        more[a][i] * more[b][k]
        for a, b, i, k in product(rows, rows, range(n), range(n))
        if reference[i] != reference[k] and rows[a][i] == rows[b][k] not in (reference[i], reference[k])
    )
    own = {r: adds[i].mean() for i, r in enumerate(samples.references.tolist())}
    crossed = sum(own[rows[a][i]] * more[a][i] for a in rows for i in range(n) if rows[a][i] != reference[i])
    wanted = pairs / n**2 + 2 * crossed / (n * 36)
    spread = as_donors(bench, samples, draws, 7)
    assert spread is not None
    assert spread.size == 36
    assert spread.pool / 36 == pytest.approx(max(0.0, wanted), rel=1e-9)


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
