"""Tests of circuits: against scipy, against closed testing, and in simulation where the null holds."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy import stats

from scrub.circuit import significance
from scrub.circuit.significance import (
    LEVEL,
    MOST_ROWS,
    POWER_ROWS,
    dependence,
    enough,
    equivalence,
    holm,
    independence,
)
from scrub.circuit.significance import wins as count_wins
from scrub.errors import MetricError, ScrubError


def won(wins: int, n: int, q: float = 0.9, better: float = 0.99) -> significance.Finding:
    return count_wins("better than random circuits", "it beats 90 % of them or fewer", wins, n, q, better)


def rows(above: int, below: int, ties: int = 0) -> np.ndarray:
    """Differences of 0.5, -0.5 and 0."""
    return np.concatenate([np.full(above, 0.5), np.full(below, -0.5), np.zeros(ties)])


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# binomial tails


def chance(n: int, p: Fraction, counts: Iterable[int]) -> float:
    """P(Bin(n, p) is one of `counts`), in whole numbers."""
    return float(sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts))


@pytest.mark.parametrize("n", [1, 2, 29, 100])
@pytest.mark.parametrize("q", ["1/10", "1/2", "9/10"])
def test_wins_are_binomial_tails(n: int, q: str) -> None:
    p, better = Fraction(q), Fraction(99, 100)
    tails = [chance(n, p, range(k, n + 1)) for k in range(n + 1)]
    power = chance(n, better, [k for k in range(n + 1) if tails[k] <= LEVEL])
    for k in {0, 1, n // 2, int(n * p), n}:
        found = won(k, n, float(p))
        assert found.p == pytest.approx(tails[k], rel=1e-10)
        assert found.power == pytest.approx(power, rel=1e-10)


@pytest.mark.parametrize(
    ("above", "below", "ties"), [(1, 0, 0), (8, 1, 0), (9, 1, 1), (30, 20, 0), (0, 0, 4), (150, 200, 7)]
)
def test_equivalence_is_two_binomial_tails(above: int, below: int, ties: int) -> None:
    n, excess = above + below + ties, abs(above - below)
    excess = max(excess - (n - excess) % 2, 0)
    found = equivalence(rows(above, below, ties), 0.0)
    far = [k for k in range(n + 1) if abs(2 * k - n) >= excess]
    assert found.p == pytest.approx(chance(n, Fraction(6, 10), far), rel=1e-10)


def test_many_trials_keep_their_digits() -> None:
    assert won(100_000, 100_000, 0.999, 1.0).p == pytest.approx(0.999**100_000, rel=1e-9)
    assert won(99_999, 100_000, 0.999, 1.0).p == pytest.approx(0.999**99_999 * (0.001 * 100_000 + 0.999), rel=1e-9)


# wins


@pytest.mark.parametrize(("n", "q"), [(10, 0.5), (100, 0.9), (333, 0.75)])
def test_wins_are_a_binomial_test_of_scipy(n: int, q: float) -> None:
    for k in range(0, n + 1, max(n // 10, 1)):
        found = won(k, n, q)
        assert found.p == pytest.approx(stats.binomtest(k, n, q, alternative="greater").pvalue, rel=1e-9)
        assert found.statistic == k / n


def test_a_hundred_random_circuits_need_96_wins() -> None:
    assert won(96, 100).p == pytest.approx(0.0237, abs=5e-5)
    assert won(95, 100).p == pytest.approx(0.0576, abs=5e-5)
    assert (won(96, 100).good, won(96, 100).unit) == ("rejecting", "random circuits")


def test_the_power_of_wins_is_the_chance_of_the_critical_count() -> None:
    assert won(0, 100).power == pytest.approx(stats.binom.sf(95, 100, 0.99))
    assert won(0, 100, better=0.95).power == pytest.approx(stats.binom.sf(95, 100, 0.95))
    assert won(0, 100, better=1.0).power == pytest.approx(1)
    assert won(0, 100).alternative == "it wins against 99 % of random circuits"


def test_few_random_circuits_can_never_reject() -> None:
    """0.9^28 = 0.052: even 28 wins of 28 are too few to tell."""
    assert (won(28, 28).power, won(29, 29).power) == (0, pytest.approx(0.99**29))
    assert won(28, 28).p == pytest.approx(0.9**28)


def test_the_alternative_and_the_unit_can_be_put_in_words() -> None:
    found = count_wins("minimal", "x", 3, 4, unit="inflated circuits", alternative="it hurts more than 99 %")
    assert (found.unit, found.alternative) == ("inflated circuits", "it hurts more than 99 %")


# equivalence


def test_an_identical_circuit_is_never_rejected() -> None:
    for n in (1, 2, 7, 100, 1001):
        found = equivalence(np.zeros(n), 0.0)
        assert (found.p, found.statistic, found.n, found.good) == (1, 0, n, "not rejecting")


def test_rounding_of_one_sign_is_no_difference() -> None:
    noise = np.full(1000, 3e-7)
    assert equivalence(noise, 1e-6).p == 1
    assert equivalence(-noise, 1e-6).p == 1
    assert equivalence(noise, 3e-7).p == 1  # exactly the tolerance is a tie
    assert equivalence(noise, 1e-7).p < 1e-100


def test_a_mean_difference_of_one_half_is_not_a_fraction_of_one_half() -> None:
    found = equivalence(rows(100, 0), 0.0)
    assert rows(100, 0).mean() == 0.5
    assert found.statistic == 0.5
    assert found.p == pytest.approx(0.6**100 + 0.4**100)


def test_differences_beyond_one_have_their_p_and_size_says_nothing() -> None:
    assert equivalence(100 * rows(52, 48), 0.0) == equivalence(rows(52, 48), 0.0)
    assert equivalence(rows(52, 48), 0.0).p > 0.9
    assert equivalence(rows(48, 52), 0.0).p == equivalence(rows(52, 48), 0.0).p


@pytest.mark.parametrize(
    ("n", "above", "p"), [(100, 70, 0.0248), (100, 69, 0.0398), (100, 68, 0.0615), (1000, 650, 0.000645)]
)
def test_critical_values_of_equivalence(n: int, above: int, p: float) -> None:
    assert equivalence(rows(above, n - above), 0.0).p == pytest.approx(p, rel=2e-3)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.3])
def test_p_of_equivalence_is_the_sum_over_shares_as_far_from_one_half(eps: float) -> None:
    k = np.arange(41)
    for above in (0, 11, 20, 21, 33, 40):
        far = np.abs(k / 40 - 0.5) >= abs(above / 40 - 0.5) - 1e-12
        expected = stats.binom.pmf(k, 40, 0.5 + eps)[far].sum()
        assert equivalence(rows(above, 40 - above), 0.0, eps, 0.9).p == pytest.approx(expected)


def test_with_no_margin_it_is_the_sign_test_of_scipy() -> None:
    assert equivalence(rows(14, 6), 0.0, eps=0.0).p == pytest.approx(stats.binomtest(14, 20).pvalue)


def test_ties_count_half() -> None:
    found = equivalence(rows(60, 20, ties=20), 0.0)
    assert found.statistic == pytest.approx(0.7 - 0.5)
    assert found.p == equivalence(rows(70, 30), 0.0).p


def test_where_the_null_holds_p_is_not_too_small_whatever_the_number_of_ties() -> None:
    """Some rows always tie, the others fall above so often that the share is 0.6, the edge of the null: exactly.

    Only below one half: ties narrow the distribution, so that a distance less than that of the edge is likelier.
    """
    n = 25
    for ties in range(n):
        apart = n - ties
        chance = (0.6 * n - ties / 2) / apart
        if chance > 1:
            continue
        mass = stats.binom.pmf(np.arange(apart + 1), apart, chance)
        p = np.array([equivalence(rows(k, apart - k, ties), 0.0).p for k in range(apart + 1)])
        for level in np.unique(p[p < 0.5]):
            assert mass[p <= level].sum() <= level + 1e-9


def test_the_power_of_equivalence_is_that_of_its_critical_values() -> None:
    """Of 100 rows, 69 above reject, or 69 below."""
    expected = stats.binom.sf(68, 100, 0.8) + stats.binom.cdf(31, 100, 0.8)
    assert equivalence(rows(50, 50), 0.0).power == pytest.approx(expected)
    assert equivalence(rows(2, 2), 0.0).power == 0  # 0.6^4 + 0.4^4 > 0.05
    assert "80 %" in equivalence(rows(2, 2), 0.0).alternative


# independence


def hsic(a: np.ndarray, b: np.ndarray) -> float:
    """By the definition, with whole kernel matrices."""

    def kernel(x: np.ndarray) -> np.ndarray:
        distances = np.abs(np.subtract.outer(x, x))
        width = np.median([distances[i, j] for i, j in combinations(range(len(x)), 2)])
        return np.exp(-(distances**2) / (2 * width**2))

    centre = np.eye(len(a)) - 1 / len(a)
    return float(np.trace(kernel(a) @ centre @ kernel(b) @ centre)) / len(a) ** 2


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "exponential"])
def test_the_statistic_is_hsic(draw: str) -> None:
    rng = np.random.default_rng(1)
    a = getattr(rng, draw)(size=60)
    b = a**2 + getattr(rng, draw)(size=60)
    assert dependence(a, b, 19, rng)[0] == pytest.approx(hsic(a, b), rel=1e-8)


def test_p_is_that_of_all_permutations() -> None:
    """Of six rows there are 720: scipy goes through them all."""
    a, b = np.array([0.1, 1.0, 2.2, 2.9, 4.1, 9.0]), np.array([0.0, 1.5, 1.2, 3.0, 8.0, 6.0])
    exact = stats.permutation_test((a,), lambda x: hsic(x, b), permutation_type="pairings", alternative="greater")
    got = dependence(a, b, 4000, np.random.default_rng(0))[1]
    assert 0.01 < exact.pvalue < 0.3
    assert got == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / 4000))


def test_where_the_null_holds_p_is_uniform() -> None:
    rng = np.random.default_rng(7)
    p = np.array([dependence(rng.normal(size=15), rng.exponential(size=15), 99, rng)[1] for _ in range(500)])
    assert stats.kstest(p - rng.uniform(0, 0.01, 500), "uniform").pvalue > 0.01
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_the_data_count_as_one_permutation() -> None:
    a = normal(50)
    assert independence(a, a, permutations=199).p == 1 / 200


def test_what_is_not_linear_is_seen() -> None:
    a = normal(200)
    found = independence(a**2, a, permutations=199)
    assert abs(np.corrcoef(a, a**2)[0, 1]) < 0.2
    assert found.p == 1 / 200
    assert (found.good, found.n, found.unit) == ("not rejecting", 200, "rows")


def test_units_do_not_matter() -> None:
    a, b = normal(2, 40)
    found = independence(a, b)
    scaled = independence(1e4 * a + 3, 1e-5 * b)
    assert scaled.statistic == pytest.approx(found.statistic, rel=1e-6)
    assert scaled.p == found.p


def test_a_constant_depends_on_nothing() -> None:
    a = normal(50)
    for found in (independence(np.ones(50), a), independence(a, np.ones(50)), independence(a[:1], a[:1])):
        assert (found.statistic, found.p) == (0, 1)
    noisy = 1 + 1e-8 * a
    assert independence(noisy, a, permutations=99, tolerance=1e-6).p == 1
    assert independence(noisy, a, permutations=99).p == 1 / 100


def test_of_a_constant_model_the_power_is_nothing() -> None:
    found = independence(normal(50), np.ones(50))
    assert found.power == 0
    assert found.alternative.startswith("none: the model's own score is constant")
    assert independence(np.ones(50), normal(50)).power > 0.5


def test_mostly_equal_scores_are_not_constant() -> None:
    """Nine rows in ten score 0: the median distance is 0, and still the two scores go together."""
    a = np.zeros(100)
    a[:10] = 3
    found = independence(a, a, permutations=199)
    assert found.statistic == pytest.approx((0.1 * 0.9 * 2 * (1 - np.exp(-0.5))) ** 2)
    assert found.p == 1 / 200


def test_equal_statistics_are_as_large() -> None:
    """Two rows of three are alike in both: a third of all orders gives the statistic of the data."""
    a = np.array([0.0, 0.0, 1.0])
    assert independence(a, a, permutations=5000).p == pytest.approx(1 / 3, abs=0.03)
    assert independence(a[1:], a[1:], permutations=150).p == 1  # of two rows every order does


def test_many_rows_are_sampled_and_it_says_so() -> None:
    a, b = normal(2, 2000)
    found = independence(a, b, permutations=99)
    assert (found.n, found.unit) == (MOST_ROWS, "rows drawn from 2000")
    assert independence(a, b, permutations=99) == found
    assert independence(a, b, permutations=99, seed=1).statistic != found.statistic


def test_the_power_of_independence_is_that_of_other_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "POWER_RUNS", 1000)
    found = independence(*normal(2, 30), permutations=19, seed=12)  # of a seed that no other test has cached
    rng = np.random.default_rng(99)
    drawn = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=(1000, 30))
    rejected = np.mean([dependence(pair[:, 0], pair[:, 1], 100, rng)[1] <= LEVEL for pair in drawn])
    assert found.power == pytest.approx(rejected, abs=0.06)
    assert 0.3 < found.power < 0.9
    assert found.alternative == "the two scores are Gaussian with correlation 0.5 (simulated for 30 rows)"


def test_power_grows_with_rows_and_is_simulated_for_200_at_most() -> None:
    power = [independence(*normal(2, n), permutations=19).power for n in (2, 10, 40, 300)]
    assert power == sorted(power)
    assert (power[0], power[-1]) == (0, 1)
    assert f"{POWER_ROWS} rows" in independence(*normal(2, 300), permutations=19).alternative


# many tests, and all of them


def test_holm_is_closed_testing_with_bonferroni() -> None:
    """A null falls when every set of nulls that holds it falls, each by its smallest p times its size."""
    for seed in range(20):
        p = np.random.default_rng(seed).beta(0.3, 3, size=5)
        sets = [s for size in range(1, 6) for s in combinations(range(5), size)]
        expected = [max(min(1.0, len(s) * min(p[list(s)])) for s in sets if i in s) for i in range(5)]
        assert holm(p.tolist()) == pytest.approx(expected)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.02, None, 0.5]) == (0.04, None, 0.5)  # two tests were made
    assert holm([0.6, 0.9]) == (1, 1)
    assert holm([]) == ()
    assert holm([None]) == (None,)


def test_nothing_to_test_has_no_p() -> None:
    none = np.zeros(0)
    for found in (won(0, 0), equivalence(none, 0.0), independence(none, none)):
        assert (found.n, found.p, found.statistic, found.power) == (0, None, None, None)


def test_a_finding_as_a_dictionary() -> None:
    assert won(96, 100).to_dict() == {
        "name": "better than random circuits", "null": "it beats 90 % of them or fewer", "good": "rejecting",
        "statistic": 0.96, "p": won(96, 100).p, "n": 100, "unit": "random circuits", "power": won(1, 100).power,
        "alternative": "it wins against 99 % of random circuits",
    }  # fmt: skip
    assert type(independence(*normal(2, 20), permutations=19).power) is float
    assert equivalence(rows(1, 1), 0.0).null.startswith("on 40 % to 60 % of all rows")


def test_impossible_options_are_refused() -> None:
    for options in ((0.9, 0.9), (0.0, 0.5), (0.9, 1.1)):
        with pytest.raises(ScrubError, match="q lies below better"):
            won(1, 2, *options)
    for more in ({"tolerance": -1.0}, {"tolerance": 0.0, "eps": 0.5}, {"tolerance": 0.0, "fraction": 0.6}):
        with pytest.raises(ScrubError, match=r"0\.5 \+ eps < fraction"):
            equivalence(rows(1, 1), **more)
    with pytest.raises(ScrubError, match="permutations=18: with fewer than 19"):
        independence(*normal(2, 20), permutations=18)


def test_scores_that_are_no_numbers_are_named() -> None:
    bad = np.array([0.0, np.nan, 1.0, np.inf])
    for call in (lambda: equivalence(bad, 0.0), lambda: independence(bad, normal(4)),
                 lambda: independence(normal(4), bad)):  # fmt: skip
        with pytest.raises(MetricError, match="rows 1, 3: leave them out"):
            call()


@pytest.mark.parametrize("tests", [1, 2, 9, 500])
def test_enough_comparisons_are_just_enough(tests: int) -> None:
    """Holm's smallest p-value of so many, every comparison won."""
    n = enough(tests)
    least = [holm([won(m, m).p] * tests)[0] for m in (n, n - 1)]
    assert least[0] < 0.05 <= least[1]
    assert (enough(), enough(9)) == (29, 50)
