"""Every call of a test is checked: types of functions without shapes, and shapes of those with them."""

from __future__ import annotations

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from scrub.circuit.significance import enough
from scrub.model.layers import attend


def test_wrong_types_and_wrong_shapes_are_errors_in_tests() -> None:
    with pytest.raises(BeartypeCallHintViolation):
        enough("9")  # type: ignore[arg-type]
    q, short, mask = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5), torch.ones(1, 2, 2, dtype=torch.bool)
    with pytest.raises(TypeCheckError):
        attend(q, q, short, mask, 1.0)
