"""What a user can get wrong: every error carries a sentence that says what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path


class ScrubError(Exception):
    """Misuse or a wrong file. The message is all that a user needs; the command line exits with 2."""


class ClaimError(ScrubError):
    """Something is wrong with a claim: its story, its sites, its options, its expectation."""


class DataError(ScrubError):
    """Something is wrong with the rows: tokens, named positions, columns, strata."""


class ModelError(ScrubError):
    """A model that cannot be loaded, or that the engine does not reproduce."""


class MetricError(ScrubError):
    """A metric that cannot be computed on these rows."""


def nearest(found: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known name closest to `found`, or None when nothing is close; 1 is the cutoff of equal names."""
    close = difflib.get_close_matches(found, list(known), n=1, cutoff=cutoff)
    return close[0] if close else None


def did_you_mean(found: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """` Did you mean X?`, or an empty string: appended to a sentence about an unknown name."""
    close = nearest(found, known, cutoff)
    return f" Did you mean {close!r}?" if close else ""


def some(items: Iterable[object], limit: int = 8) -> str:
    """`1, 2, 3 and 40 more`: a list in a sentence, cut where it stops being readable."""
    texts = [str(item) for item in items]
    shown, rest = texts[:limit], len(texts) - limit
    return ", ".join(shown) + (f" and {rest:,} more" if rest > 0 else "")


_VALUES = re.compile(r"(?<!\w)-?\d+(\.\d+)?(?!\w)|, found .*")


def row_errors(problems: Iterable[tuple[int, str]], what: str = "row", limit: int = 20) -> str:
    """`row 0 and 1,999 more: tokens must be ids, found 'a'.`: a line for each mistake, in the words of its first row.

    Mistakes are the same where they differ in numbers, or in what was found, alone.
    """
    kinds: dict[str, dict[int, str]] = {}
    for number, text in problems:
        kinds.setdefault(_VALUES.sub("", text), {}).setdefault(number, text)
    lines = [f"{what} {some(rows, 1)}: {next(iter(rows.values()))}" for rows in kinds.values()]
    return "\n".join(lines[:limit]) + (f"\nand {len(lines) - limit:,} more" if lines[limit:] else "")


def path_of(given: object, role: str) -> Path:
    """A path as it was given. Raises ClaimError for what is none."""
    if not isinstance(given, str | Path):
        raise ClaimError(f"{role}: {given!r} is no path: write text, or a pathlib.Path.")
    return Path(given)


def raised(role: str, function: Callable[..., object], error: BaseException) -> str:
    """`data=: prompts() raised KeyError: 'x'.`: a function of the user's that failed."""
    name = getattr(function, "__name__", type(function).__name__)
    return f"{role}: {name}() raised {type(error).__name__}: {str(error).rstrip('.')}."
