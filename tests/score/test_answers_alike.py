"""When an output is an answer: whole numbers are equal or not, floats to what floating point rounds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from scrub.score.answers import alike


@pytest.mark.parametrize(
    ("output", "answer", "equal"),
    [
        (5_000_000, 5_000_001, False),
        (5_000_000, 5_000_000, True),
        (Fraction(1, 10**8), Fraction(2, 10**8), False),
        (10**400, 10**400 + 1, False),
        (1.5, 10**400, False),
        (0.1 + 0.2, Fraction(3, 10), True),
        (1e-9, 0, False),
        (1.0000001, 1, True),
        (True, 1, False),
        ((1, 2.0), (1, 2), True),
        ((1, 2), (1, 3), False),
    ],
)
def test_an_output_is_an_answer_or_it_is_not(output: Any, answer: Any, equal: bool) -> None:
    assert alike(output, answer) is equal
