"""What changed since the last run of a claim: the facts, and the paired difference of what is recovered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from scrub.score.blocks import Arrays
from scrub.score.result import ratio
from scrub.score.since import Since
from scrub.score.statistics import UNDEFINED, interval
from scrub.score.verdict import UNDEFINED as NO_VERDICT

SETTINGS = ("rows", "draws", "seed")


def since(then: Arrays, now: Arrays, old: Mapping[str, Any], facts: tuple[str, ...], seed: int) -> Since:
    """Compare two runs of a claim by their rows: `identity`, `scrubbed`, `random` and `model` for each reference row.

    `old` is the result of the run `then`, in its JSON form.
    """
    _, before, after = np.intersect1d(then["identity"], now["identity"], assume_unique=True, return_indices=True)
    columns = np.stack([*_columns(now, after), *_columns(then, before)], axis=1)
    all_shared = len(before) == len(then["identity"]) == len(now["identity"])
    same = all_shared and bool((columns[:, :3] == columns[:, 3:]).all())
    defined = len(columns) > 0 and old["verdict"] != NO_VERDICT
    difference = interval(columns, _gained, seed) if defined else UNDEFINED
    return Since(facts, old["verdict"], old["recovered"]["value"], difference, len(before), same)


def _columns(table: Arrays, rows: np.ndarray) -> Iterator[np.ndarray]:
    return (table[name][rows] for name in ("scrubbed", "random", "model"))


def _gained(columns: np.ndarray) -> np.ndarray:
    """What is recovered now minus what was, each on its own scale."""
    return ratio(columns[:, :3]) - ratio(columns[:, 3:])


def facts(
    before: Sequence[str], after: Sequence[str], old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[str, ...]:
    """What a claim said (-) and says (+), one fact a line, and the settings of its results that differ."""
    gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    lines = sorted([(line, "-") for line in gone.elements()] + [(line, "+") for line in come.elements()])
    settings = [(name, old[name], new[name]) for name in SETTINGS]
    for part in ("model", "versions"):
        first, second = old["provenance"][part], new["provenance"][part]
        settings += [(name, first.get(name), second.get(name)) for name in {**first, **second}]
    return (*(f"{sign} {line}" for line, sign in lines), *(f"{name} {a} -> {b}" for name, a, b in settings if a != b))
