"""With parts the engine equals the slow recursion draw by draw, on random claims over random small models."""

from __future__ import annotations

import random

import pytest

from engine.test_equals_reference import agrees_with_reference
from strategies import random_transformer_claim

CASES = 30
KNOWN = [48, 65, 69, 125, 136, 263]  # from longer runs: each was red once


@pytest.mark.parametrize("case", [*range(CASES), *KNOWN])
def test_claims_with_parts(case: int) -> None:
    rng = random.Random(f"parts {case}")
    agrees_with_reference(rng, *random_transformer_claim(rng, parts=True), case)
