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


class PlugInError(ScrubError):
    """A file that was plugged in is not what it should be: a metric, an ablation, a method ..."""


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

    Mistakes are the same where they differ in numbers, or in what was found, alone. Lines of a file are told by
    `what="rows.csv:"`, as `rows.csv:2 and 7 more: ...`.
    """
    kinds: dict[str, dict[int, str]] = {}
    for number, text in problems:
        kinds.setdefault(_VALUES.sub("", text), {}).setdefault(number, text)
    before = what if what.endswith(":") else f"{what} "
    lines = [f"{before}{some(rows, 1)}: {next(iter(rows.values()))}" for rows in kinds.values()]
    return "\n".join(lines[:limit]) + (f"\nand {len(lines) - limit:,} more" if lines[limit:] else "")


def escaped(text: str) -> str:
    """A text as a terminal may have it: what would forge other output is shown as it is written in Python."""
    return _FORGING.sub(lambda match: ascii(match[0])[1:-1], text)


def path_of(given: object, role: str) -> Path:
    """A path as it was given. Raises ClaimError for what is none, and for what no file system can hold.

    That is an empty path, a name that is too long, a circle of links, a folder that may not be entered.
    """
    if not isinstance(given, str | Path):
        raise ClaimError(f"{role}: {given!r} is no path: write text, or a pathlib.Path.")
    if not str(given):
        raise ClaimError(f"{role}: an empty path names nothing: write the name of a file or a directory.")
    try:
        Path(given).stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise ClaimError(f"{role}: {shorten(str(given), 60)} cannot be used as a path: {said}.") from None
    return Path(given)


def is_file(given: str | Path) -> bool:
    """Whether a text is the path of a file; False for what can be no path."""
    try:
        return Path(given).is_file()
    except (OSError, ValueError):
        return False


def unread(error: Exception) -> str:
    """Why the text of a file cannot be read: ``it is no text in UTF-8``, and not which codec failed at which byte."""
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8: save it so, or take an undamaged copy"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(getattr(error, "strerror", None) or error)


def shorten(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 3]}..."


def raised(role: str, function: Callable[..., object], error: BaseException) -> str:
    """`data=: prompts() raised KeyError: 'x'.`: a function of the user's that failed."""
    name = getattr(function, "__name__", type(function).__name__)
    return f"{role}: {name}() raised {type(error).__name__}: {str(error).rstrip('.')}."
