"""The conventions of faithfulness, by hand: different numbers, and where each is undefined."""

from __future__ import annotations

import numpy as np
import pytest

from scrub.circuit.faithfulness import conventions


def column(*values: float) -> np.ndarray:
    """Ten rows: the first values as they are given, the last of them repeated."""
    return np.array([*values, *[values[-1]] * (10 - len(values))], dtype=float)


def test_conventions_are_different_numbers() -> None:
    """F(M) = 2, F(C) = 1.4, F(0) = 0.5. One row has a model's score of 0.5, and rules the means over rows."""
    model, own, empty = column(0.5, 3.5, 2), column(1.5, 2.5, 1.25), column(0, 1, 0.5)
    found = conventions(model, own, empty, seed=0)
    assert (found.model, found.circuit, found.ablated) == pytest.approx((2, 1.4, 0.5))
    assert found.gap == pytest.approx(0.6)
    assert found.ratio == pytest.approx(0.7)
    assert found.normalized.value == pytest.approx(0.9 / 1.5)
    assert found.mean_ratio == pytest.approx((3 + 2.5 / 3.5 + 8 * 0.625) / 10)
    assert found.mean_normalized == pytest.approx((3 + 1.5 / 2.5 + 8 * 0.5) / 10)
    assert found.aue == pytest.approx((1 + 1 + 8 * 0.75) / 10)
    assert found.ate == pytest.approx((0.5 + 2.5 + 8 * 1.5) / 10)
    assert found.explained == pytest.approx(1 - found.aue / found.ate)


def test_errors_that_cancel_are_no_gap_but_row_by_row_they_count() -> None:
    model = np.full(10, 2.0)
    found = conventions(model, model + np.tile([1.0, -1.0], 5), np.zeros(10), seed=0)
    assert (found.gap, found.aue, found.ate, found.explained) == (0, 1, 2, 0.5)
    assert found.normalized.value == pytest.approx(1)


def test_nothing_is_normalized_where_ablating_changes_nothing() -> None:
    same = column(1, 2, 3)
    found = conventions(same, same + 1, same, seed=0)
    assert (found.normalized.value, found.mean_normalized, found.explained) == (None, None, None)
    assert found.ratio == pytest.approx(37 / 27)


def test_nothing_is_normalized_where_ablating_helps_or_may_help() -> None:
    model, own = column(2, 3, 1), column(2, 2, 1)
    assert conventions(model, own, model + 1, seed=0).normalized.value is None
    either_way = model + np.tile([1.0, -1.1], 5)
    assert conventions(model, own, either_way, seed=0).normalized.value is None


def test_lower_is_better_for_a_loss() -> None:
    """The same three columns are one story for a loss and no story for a score."""
    model, own, empty = column(0.5, 1), column(1, 1.5), column(3, 2.5)
    loss = conventions(model, own, empty, seed=0, better="lower")
    assert loss.normalized.value == pytest.approx((1.45 - 2.55) / (0.95 - 2.55))
    assert conventions(model, own, empty, seed=0, better="higher").normalized.value is None
    assert conventions(-model, -own, -empty, seed=0).normalized.value == pytest.approx(loss.normalized.value)


def test_few_rows_have_no_normalized_value() -> None:
    model, own, empty = column(2, 3), column(1, 2), column(0, 1)
    assert conventions(model[:9], own[:9], empty[:9], seed=0).normalized.value is None
    assert conventions(model, own, empty, seed=0).normalized.value == pytest.approx(0.5)


def test_a_model_that_scores_nothing_has_no_ratio() -> None:
    found = conventions(np.zeros(10), np.ones(10), np.full(10, -1.0), seed=0)
    assert (found.ratio, found.mean_ratio) == (None, None)
    assert found.normalized.value == pytest.approx(2)


def test_the_mean_over_rows_is_undefined_where_its_quotient_is() -> None:
    """No row's denominator is 0, and yet the quotients are shares of nothing."""
    model, own = column(2, 3, 1), column(2, 2, 1)
    helped, few = conventions(model, own, model + 1, seed=0), conventions(model[:9], own[:9], model[:9] - 1, seed=0)
    assert [(found.normalized.value, found.mean_normalized) for found in (helped, few)] == [(None, None)] * 2
    assert conventions(model, own, model - 1, seed=0).mean_normalized is not None
