"""Rows that a proposal saw are left out of a claim: it is tested on the others, as if its data lacked these.

A claim stores their digests, `seen=`. In `paired` rests a row whose partner is left out has no rest, so it goes too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Options
from scrub.claims.plain import as_dict
from scrub.claims.problems import Problem

if TYPE_CHECKING:  # a check need not wait for its import
    from jaxtyping import Bool

MORE_DATA = "Give the claim more data, or propose on fewer rows (--rows)."
VERDICT_ROWS = 30  # reference rows that a verdict takes: from here on intervals cover (docs/statistics.md)


@frozen
class Seen:
    """How many digests a claim stores, how many match no row, and how many rows they took from the data.

    `partners` counts rows that go because their partner went: from the pool, or with `empty="self"` from the
    reference rows alone.
    """

    digests: int = 0
    unmatched: int = 0
    rows: int = 0
    partners: int = 0

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self, "unmatched")

    def __str__(self) -> str:
        also = f", and {_rows(self.partners)} whose partner it saw" if self.partners else ""
        return f"{_rows(self.rows)} that a proposal saw{also}"


def leave_out(data: Dataset, options: Options) -> tuple[Dataset, Seen]:
    """The rows that no proposal saw, in their order, and what was left out."""
    inputs = [row.input_digest for row in data.rows] if options.seen else []
    given = set(options.seen)
    matched = given.intersection(inputs)
    if not matched:
        return data, Seen(len(given), len(given))
    left = data.taken(row for row, digest in enumerate(inputs) if digest not in matched)
    rows, partners = len(data) - len(left), 0
    if options.pair is not None:
        lost = _orphaned(left, options.pair)
        partners = int(lost.sum())
        while options.empty != "self" and lost.any():  # the partners of those that go now go next
            left = left.taken(np.flatnonzero(~lost))
            lost = _orphaned(left, options.pair)
            partners += int(lost.sum())
    return left, Seen(len(given), len(given) - len(matched), rows, partners)


def named_partners(data: Dataset, column: str) -> list[list[int]]:
    """The rows that each row names as its partner; -1 stands for one that was left out of the data.

    A partner is named by its row number in `data.origin`, or by its text in the column `id`.
    """
    place = np.arange(len(data.origin))
    if data.numbers is not None:
        place = np.full(len(data.origin), -1)
        place[data.numbers] = np.arange(len(data))
    names: dict[str, list[int]] = {}
    for number, row in enumerate(data.origin.rows):
        if isinstance(name := row.columns.get("id"), str):
            names.setdefault(name, []).append(number)

    def named(value: Any) -> list[int]:
        if isinstance(value, str):
            return names.get(value, [])
        return [value] if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(place) else []

    return [[int(place[number]) for number in named(row.columns.get(column))] for row in data.rows]


def _orphaned(data: Dataset, column: str) -> Bool[np.ndarray, " row"]:
    """The rows that had a partner, which was left out."""
    return np.array([bool(named) and max(named) < 0 for named in named_partners(data, column)], dtype=bool)


def too_few_left(seen: Seen, data: Dataset) -> Problem:
    """So many rows were left out that there is nothing to swap."""
    count = len(data)
    left = f"{count or 'none'} {'is' if count == 1 else 'are'} left"
    return Problem(f"{_sentence(seen)}, of {len(data.origin)}: {left}, and there is nothing to swap.", MORE_DATA)


def seen_warnings(seen: Seen, scored: int) -> Iterator[str]:
    """Sentences on digests that match no row, and on too few reference rows for a verdict."""
    if seen.unmatched:
        found = f"seen=: {seen.unmatched} of {seen.digests} digests match no row: the data have changed since, or"
        yield f"{found} the rows that the proposal saw were taken from others."
    if seen.rows and 0 < scored < VERDICT_ROWS:
        yield f"{_sentence(seen)}; {scored} scored rows are left, and a verdict takes {VERDICT_ROWS}. {MORE_DATA}"


def _sentence(seen: Seen) -> str:
    also = f" and the partners of {seen.partners} more" if seen.partners else ""
    return f"seen=: a proposal saw {_rows(seen.rows)}{also}"


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
