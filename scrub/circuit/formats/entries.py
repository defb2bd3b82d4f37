"""The entries of a file, each with the words that say where it stands, and all that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from attrs import frozen

from scrub.anatomy.edges import Part
from scrub.errors import ClaimError

MOST = 10  # bad entries that a message shows
LONGEST = 120  # characters of an entry that a message shows


@frozen
class Entry:
    """`where` is `line 3`, `entry 3` or `edges`; `value` a line's text or a value of JSON."""

    where: str
    value: Any

    def __str__(self) -> str:
        shown = repr(self.value)
        return f"{self.where}: {shown if len(shown) <= LONGEST else shown[:LONGEST] + ' ...'}"


def gather(entries: Iterable[Entry], form: str, read: Callable[[Any], Iterable[Part]]) -> list[Part]:
    """The parts of all entries. Raises ClaimError with the first bad ones and the number of the others."""
    return _gathered(entries, form, read)


def gather_scores(
    entries: Iterable[Entry], form: str, read: Callable[[Any], Iterable[tuple[Part, float]]]
) -> list[tuple[Part, float]]:
    """As `gather`, of parts with their scores, which are to be finite: no ranking has a place for NaN."""

    def finite(value: Any) -> list[tuple[Part, float]]:
        found = list(read(value))
        if wrong := [score for _, score in found if not isfinite(score)]:
            raise ClaimError(f"its score is {wrong[0]}, no finite number.")
        return found

    return _gathered(entries, form, finite)


def _gathered(entries: Iterable[Entry], form: str, read: Callable[[Any], Iterable[Any]]) -> list[Any]:
    found, problems = list[Any](), list[str]()
    for entry in entries:
        try:
            found += read(entry.value)
        except (ClaimError, ValueError) as error:  # of int(), for thousands of digits
            problems.append(f"{entry}: {' '.join(str(error).split())}")
    if problems:
        rest = [f"and {len(problems) - MOST} more."] if len(problems) > MOST else []
        raise ClaimError("\n  ".join([f"read as {form}; what is wrong with it:", *problems[:MOST], *rest]))
    return found
