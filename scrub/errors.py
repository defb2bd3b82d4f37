"""What a user can get wrong: every error carries a sentence that says what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

# what moves a terminal's cursor, names its window or turns the order of letters: all but line ends and tabs
_FORGING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


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
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def escaped(text: str) -> str:
    """A text as a terminal may have it: what would forge other output is shown as it is written in Python."""
    return _FORGING.sub(lambda match: ascii(match[0])[1:-1], text)


def path_of(given: object, role: str) -> Path:
    """A path as it was given. Raises ClaimError for what is none."""
    if not isinstance(given, str | Path):
        raise ClaimError(f"{role}: {given!r} is no path: write text, or a pathlib.Path.")
    return Path(given)


def raised(role: str, function: Callable[..., object], error: BaseException) -> str:
    """`data=: prompts() raised KeyError: 'x'.`: a function of the user's that failed."""
    name = getattr(function, "__name__", type(function).__name__)
    return f"{role}: {name}() raised {type(error).__name__}: {str(error).rstrip('.')}."
