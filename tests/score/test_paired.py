"""Paired tests against scipy: sign flips, and the statistic that they are of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from scrub.score.paired import FLIPS, sign_flip, studentised


@pytest.mark.parametrize("rows", [2, 5, 10, 12])
def test_few_rows_are_enumerated_as_scipy_does(rows: int) -> None:
    d = np.random.default_rng(rows).normal(0.4, 1, rows)

    def t(x: np.ndarray, axis: int = -1) -> np.ndarray:
        return stats.ttest_1samp(x, 0, axis=axis).statistic

    exact = stats.permutation_test((d,), t, permutation_type="samples", n_resamples=np.inf, vectorized=True)
    assert sign_flip(d, 0) == pytest.approx(exact.pvalue)


@pytest.mark.parametrize("rows", [13, 40])
def test_many_rows_are_sampled(rows: int) -> None:
    d = np.random.default_rng(rows).normal(0.25, 1, rows)
    wanted = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=50_000, rng=np.random.default_rng(0)
    ).pvalue
    assert sign_flip(d, 0) == pytest.approx(wanted, abs=0.015)
    assert sign_flip(d, 0) == sign_flip(d, 0) == sign_flip(-d, 0) != sign_flip(d, 1)
    assert sign_flip(np.tile(d + 9, 3), 0) == 1 / (FLIPS + 1)  # never 0


def test_the_statistic_is_that_of_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30))
    assert studentised(a - b) == pytest.approx(stats.ttest_rel(a, b).statistic)
    assert studentised(np.ones(5)) is None
    assert studentised(np.ones(1)) is None


def test_rows_that_do_not_differ_say_nothing() -> None:
    d = np.array([1.0, 2.0, -0.5, 3.0])
    assert sign_flip(np.concatenate([d, np.zeros(30)]), 0) == sign_flip(d, 0)
    assert sign_flip(np.zeros(20), 0) == 1.0
    assert sign_flip(np.ones(1), 0) == 1.0
    for seed in range(20):  # sums that are equal but for rounding are equal
        whole = np.random.default_rng(seed).integers(-5, 6, 8)
        assert sign_flip(whole / 10, 0) == sign_flip(whole * 1.0, 0)


@pytest.mark.parametrize("rows", [12, 25])
def test_p_is_uniform_where_nothing_differs(rows: int) -> None:
    rng = np.random.default_rng(5)
    found = [sign_flip(rng.standard_t(3, rows) * rng.gamma(1, 1, rows), seed) for seed in range(200)]
    assert stats.kstest(found, "uniform").pvalue > 0.01
