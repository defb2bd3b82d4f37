"""Calls of tests are checked: types where no shape is told, and shapes where they are new and now and then."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from scrub.circuit.significance import enough
from scrub.model.layers import Scoring, attend
from typed import EVERY


def test_wrong_types_and_wrong_shapes_are_errors_in_tests() -> None:
    with pytest.raises(BeartypeCallHintViolation):
        enough("9")  # type: ignore[arg-type]
    q, short, mask = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5), torch.ones(1, 2, 2, dtype=torch.bool)
    good, other = (q, q, q, mask, Scoring(1.0)), (q, short, q, mask, Scoring(1.0))
    for _ in range(3 * EVERY):
        attend(*good)
    with pytest.raises(TypeCheckError):
        attend_often(*other)
    with pytest.raises(TypeCheckError):
        attend_often(*good[:4], 1.0)


def attend_often(*given: Any) -> None:
    for _ in range(EVERY):
        with suppress(RuntimeError, AttributeError):  # what torch says where nobody looked
            attend(*given)
