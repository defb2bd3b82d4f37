"""Nothing: a component outside the circuit writes zeros."""

from __future__ import annotations

from typing import Any

from scrub.circuit.ablations import Ablation

WORDS = {"place": 3}


def value(own: Any, mean: Any) -> int:
    return 0


ABLATION = Ablation(value=value)
