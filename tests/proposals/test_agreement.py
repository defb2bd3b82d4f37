"""Agreement, recall costs, Student's t and the bound, against scipy, closed forms and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from scrub.proposals.agreement import agreement, overhead, pearson, recall_costs
from scrub.proposals.bound import differences, largest, welch


def test_correlations_are_scipy_s() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, 40).astype(float)
    y = x + rng.normal(size=40).round()
    y[np.abs(y) < 1e-3] = 2.0
    said = agreement(x, y)
    assert said.live == 40
    assert said.pearson == pytest.approx(stats.pearsonr(x, y).statistic)
    assert said.spearman == pytest.approx(stats.spearmanr(x, y).statistic)
    assert said.slope == pytest.approx(np.linalg.lstsq(y[:, None], x, rcond=None)[0][0])
    assert said.sign == np.mean(np.sign(x) == np.sign(y))


def test_only_live_nodes_count_and_misses_are_counted() -> None:
    exact = np.array([10.0, -5.0, 2.0, 1e-3, 0.0, 0.0])
    estimates = np.array([10.0, -5.0, 0.01, 9.0, -9.0, 9.0])
    said = agreement(estimates, exact)
    assert (said.live, said.nodes, said.false_negatives) == (3, 6, 1)
    assert said.sign == 1.0


def test_round_off_is_a_tie() -> None:
    exact = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    said = agreement(np.array([5.0, 1e-17, -1e-17, 2e-17, 0.0]), exact)
    assert said.spearman == pytest.approx(stats.spearmanr([5, 0, 0, 0, 0], exact).statistic)


def test_agreement_of_one_node_or_of_constants_is_undefined() -> None:
    assert agreement(np.array([1.0]), np.array([2.0])).pearson is None
    assert pearson(np.ones(4), np.arange(4.0)) is None
    assert agreement(np.zeros(0), np.zeros(0)).slope is None


def test_costs_of_recall() -> None:
    exact = np.array([1.0, 9.0, 0.0, -5.0])
    assert recall_costs(np.array([2, 1, 0, 3]), exact, 10) == [(1, 2), (2, 4), (3, 4)]
    assert recall_costs(np.array([1, 3, 0, 2]), exact, 2) == [(1, 1), (2, 2)]
    assert overhead([(1, 1), (2, 2)]) == pytest.approx(1.0)
    assert overhead([(1, 2), (2, 2)]) == pytest.approx(np.exp(np.log(2) / 1.5))
    assert overhead([]) is None


def test_the_bound_adds_student_s_quantile_of_each_node() -> None:
    """With two degrees of freedom t is (2a - 1) / sqrt(2a (1 - a)), with one tan(pi (a - 1/2)) (Student 1908)."""
    for a in (0.9, 0.99, 0.999):
        two, one = (2 * a - 1) / np.sqrt(2 * a * (1 - a)), np.tan(np.pi * (a - 0.5))
        assert largest(((0.5, 0.1, 2.0), (0.4, 0.1, 1.0)), a) == pytest.approx(
            max(0.5 + two / 10, 0.4 + one / 10), rel=1e-9
        )
        assert largest(((0.5, 0.0, np.inf), (0.1, 0.01, 2.0)), a) == pytest.approx(
            max(0.5, 0.1 + two / 100), rel=1e-9
        )


def test_welch_is_scipy_s() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=9), 3 * rng.normal(size=30) + 1
    error, freedom = welch((a.std(ddof=1), b.std(ddof=1)), (len(a), len(b)))
    told = stats.ttest_ind(a, b, equal_var=False)
    assert (a.mean() - b.mean()) / error == pytest.approx(told.statistic)
    assert freedom == pytest.approx(told.df)
    assert welch((1.0, 1.0), (1, 5))[0] == np.inf


def test_the_bound_covers_the_largest_of_additive_effects() -> None:
    """A one-sided level of 90 % is kept, node by node and so for the largest; the bound is not far above it."""
    rng = np.random.default_rng(2)
    effects = rng.normal(size=20) * 0.1
    effects[3] = 1.0
    values = []
    for _ in range(200):
        chosen = rng.random((200, 20)) < 0.1
        values.append(largest(differences(chosen, chosen @ effects + rng.normal(size=200) * 0.1), 0.9))
    covered = np.mean([value >= 1.0 for value in values])
    assert 0.86 <= covered <= 0.99
    assert np.mean(values) < 1.3


def test_a_node_that_was_hardly_drawn_cannot_be_bounded() -> None:
    chosen = np.zeros((50, 2), dtype=bool)
    chosen[:20, 0], chosen[0, 1] = True, True
    assert largest(differences(chosen, np.random.default_rng(0).normal(size=50)), 0.9) is None
