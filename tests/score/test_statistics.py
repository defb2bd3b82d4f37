"""Intervals: a ratio of means, formed in each replicate, rows kept together; against scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import bootstrap

from scrub.score.result import gap, ratio
from scrub.score.statistics import FEW_ROWS, LEVEL, REPLICATES, UNDEFINED, Interval, interval, replicates


def columns(rows: int, seed: int = 0) -> np.ndarray:
    """Scrubbed, random and model numbers that move together from row to row."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(4, size=rows)
    model = level + rng.normal(0, 0.3, rows)
    return np.stack([model + rng.gamma(1, 0.5, rows), model + 2 + rng.normal(0, 1, rows), model], axis=1)


def test_recovered_is_a_ratio_of_means_not_a_mean_of_ratios() -> None:
    table = np.array([[1.0, 2.0, 0.0], [0.0, 10.0, 0.0]] * 10)
    assert interval(table, ratio, 0).value == pytest.approx((6 - 0.5) / 6)
    assert np.mean((table[:, 1] - table[:, 0]) / (table[:, 1] - table[:, 2])) == pytest.approx(0.75)


@pytest.mark.parametrize("rows", [12, 60, 400])
def test_the_interval_is_that_of_scipy(rows: int) -> None:
    table = columns(rows)

    def share(scrubbed: np.ndarray, random: np.ndarray, model: np.ndarray, axis: int = -1) -> np.ndarray:
        s, r, m = (x.mean(axis=axis) for x in (scrubbed, random, model))
        return (r - s) / (r - m)

    made = bootstrap(table.T, share, paired=True, n_resamples=20_000, method="percentile",
                     rng=np.random.default_rng(1)).confidence_interval  # fmt: skip
    got = interval(table, ratio, seed=3)
    width = made.high - made.low
    assert got.low == pytest.approx(made.low, abs=0.06 * width)
    assert got.high == pytest.approx(made.high, abs=0.06 * width)


def test_a_mean_has_the_interval_of_a_normal() -> None:
    table = np.random.default_rng(0).normal(3, 2, size=(2000, 1))
    got = interval(table, lambda means: means[:, 0], seed=0)
    error = table.std() / np.sqrt(2000)
    assert got.low == pytest.approx(table.mean() - 1.96 * error, abs=0.12 * error)
    assert got.high == pytest.approx(table.mean() + 1.96 * error, abs=0.12 * error)


def test_a_bernoulli_mean_has_binomial_quantiles() -> None:
    hits = np.array([1.0] * 15 + [0.0] * 35)[:, None]
    got = interval(hits, lambda means: means[:, 0], seed=0)
    low, high = stats.binom(50, 0.3).ppf([0.025, 0.975]) / 50
    assert got.low == pytest.approx(low, abs=0.0201)
    assert got.high == pytest.approx(high, abs=0.0201)


def test_rows_carry_their_columns_together() -> None:
    """L_random - L_model is the same in every row: the gap has no width, however the two vary."""
    level = np.random.default_rng(0).normal(0, 100, 40)
    got = interval(np.stack([level, level + 2, level], axis=1), gap, seed=0)
    assert got.low == pytest.approx(2, abs=1e-9)
    assert got.high == pytest.approx(2, abs=1e-9)


def test_replicates_draw_as_many_rows_with_replacement() -> None:
    means = replicates(np.eye(10), seed=0)
    assert means.shape == (REPLICATES, 10)
    counts = means * 10
    assert np.allclose(counts, np.round(counts))
    assert np.allclose(counts.sum(1), 10)
    assert counts.mean() == pytest.approx(1)
    assert counts.var() == pytest.approx(0.9, abs=0.03)


def test_the_seed_alone_decides() -> None:
    table = columns(30)
    assert interval(table, ratio, 5) == interval(table, ratio, 5)
    assert interval(table, ratio, 5) != interval(table, ratio, 6)


def test_fewer_than_ten_rows_have_no_interval() -> None:
    assert interval(columns(FEW_ROWS - 1), ratio, 0) == UNDEFINED
    assert interval(columns(FEW_ROWS), ratio, 0).low is not None
    assert UNDEFINED.to_dict() == {"value": None, "low": None, "high": None, "level": LEVEL}


def test_a_few_replicates_without_a_number_widen_the_interval() -> None:
    table = np.array([[0.0, 1.0, 0.0]] * 4 + [[0.0, 0.0, 0.0]] * 6)  # no gap at all in 0.6^10 = 0.6 % of replicates
    got = interval(table, ratio, 0)
    assert got.value == 1.0
    assert (got.low, got.high) == (1.0, 1.0)
    rare = np.array([[0.0, 1.0, 0.0]] + [[0.0, 0.0, 0.0]] * 9)  # in 0.9^10 = 35 %
    assert interval(rare, ratio, 0) == UNDEFINED
    assert interval(np.zeros((20, 3)), ratio, 0) == UNDEFINED


def test_about_95_percent_of_intervals_hold_the_truth() -> None:
    """The closed form: recovered of the population is (2 - 0.5) / 2."""
    held = [
        found.low is not None and found.high is not None and found.low <= 0.75 <= found.high
        for found in (interval(columns(80, seed), ratio, seed) for seed in range(200))
    ]
    assert 0.89 <= np.mean(held) <= 0.99


def test_an_interval_reads_as_text() -> None:
    assert str(Interval(0.5, 0.25, 0.75)) == "0.50 [0.25, 0.75]"
    assert str(Interval(-0.001, -0.25, 0.004)) == "0.00 [-0.25, 0.00]"
    assert str(UNDEFINED) == "undefined"
