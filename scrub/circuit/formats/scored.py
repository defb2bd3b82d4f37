"""Scores by name, as auto-circuit's prune scores are exported: `{"MLP 2->A5.2.Q": 0.31}`, or `{"9.6": 1.2}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.anatomy.edges import Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.circuit.formats import Format, Scores
from scrub.circuit.formats.entries import Entry, gather_scores
from scrub.circuit.formats.named import named_parts
from scrub.errors import ClaimError

FORM = "scores by name"


def looks(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in data.values())
    return bool(data) and numbers and all(isinstance(key, str) for key in data)


def parts(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> Parts:
    raise ClaimError(f"read as {FORM}: scores alone are no circuit: take the best of the {len(data)} parts, top=K.")


def scores(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> Scores:
    """Raises ClaimError with every bad name."""
    entries = (Entry("scores", item) for item in data.items())
    return gather_scores(entries, FORM, lambda item: [(part, float(item[1])) for part in named_parts(item[0], graph)])


FORMAT = Format(
    'scores of auto-circuit, a ranking: {"MLP 2->A5.2.Q": 0.31}', looks, parts, whole=True, place=9, scores=scores
)
