"""A component's mean over the reference rows of the row's group, at the position of the same name or index."""

from __future__ import annotations

from typing import Any

from scrub.circuit.ablations import Ablation

WORDS = {"rows": "reference", "place": 1}


def value(own: Any, mean: Any) -> Any:
    return mean


ABLATION = Ablation(value=value, averaged=True)
