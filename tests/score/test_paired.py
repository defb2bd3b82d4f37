"""Paired tests: that a mean difference is 0, against scipy and by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from scrub.score.paired import p_of_mean, studentised

Draw = Callable[[np.random.Generator, int], np.ndarray]
EQUALS: dict[str, Draw] = {  # rivals that are equal: differences with a mean of 0
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.lognormal(0, 0.5, n) - np.exp(0.125),
    "very skewed": lambda rng, n: rng.lognormal(0, 1, n) - np.exp(0.5),
    "heavy tails": lambda rng, n: rng.standard_t(3, n) * rng.gamma(1, 1, n),
    "hits": lambda rng, n: (rng.random(n) < 0.5) * 1.0 - (rng.random(n) < 0.5),
}


def test_the_statistic_is_that_of_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30))
    assert studentised(a - b) == pytest.approx(stats.ttest_rel(a, b).statistic)
    assert studentised(np.ones(5)) is None
    assert studentised(np.ones(1)) is None


def test_without_skewness_p_is_students() -> None:
    d = np.random.default_rng(1).normal(0.2, 1, 20)
    even = np.concatenate([d, 0.4 - d])  # mirrored about its mean
    assert p_of_mean(even) == pytest.approx(stats.ttest_1samp(even, 0).pvalue)
    assert p_of_mean(even) == pytest.approx(p_of_mean(-even))


def test_rows_that_do_not_differ_say_nothing() -> None:
    assert p_of_mean(np.zeros(20)) == 1.0
    assert p_of_mean(np.ones(1)) == 1.0
    assert p_of_mean(np.ones(5)) == 2.0**-4
    assert p_of_mean(np.ones(20)) == 1e-4  # never 0


@pytest.mark.parametrize("rows", [30, 100])
@pytest.mark.parametrize("errors", EQUALS)
def test_equals_are_told_apart_in_one_comparison_of_twenty(errors: str, rows: int) -> None:
    """A sign flip finds one of them better in 10 to 14 % where errors are skewed."""
    rng = np.random.default_rng(0)
    found = np.array([p_of_mean(EQUALS[errors](rng, rows)) for _ in range(1000)])
    assert 0.03 <= (found <= 0.05).mean() <= (0.08 if errors == "very skewed" else 0.065)
    if errors == "normal":
        assert stats.kstest(found, "uniform").pvalue > 0.01
