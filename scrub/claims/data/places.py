"""Where a named position is: an index, or what stands there.

    {"END": -1, "IO": {"find": " Mary"}, "S2": {"column": "s", "occurrence": 2}}

`find` is a text, or a list of token ids; `column` looks for what the row has in that column. The position is the last
token of what was found. `occurrence` counts from 1, negative ones from the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from scrub.claims.content import shown
from scrub.claims.text import Tokenizer
from scrub.errors import did_you_mean

WORDS = ("find", "column", "occurrence")
FORMS = "an index, {'find': ' Mary', 'occurrence': 2} or {'column': 'io'}"


class PlaceError(ValueError):
    """A position that is not there, or is not said; the row that it belongs to is added by whoever knows it."""


@frozen
class Sought:
    """What stands at a position: a text, or token ids."""

    what: str | tuple[int, ...]
    occurrence: int = 1


def wanted(spec: Any, columns: Mapping[str, Any]) -> int | Sought:
    """How a position is said, read for a row with these columns. Raises PlaceError."""
    if isinstance(spec, int) and not isinstance(spec, bool):
        return spec
    if not isinstance(spec, Mapping):
        raise PlaceError(f"{shown(spec)} says no position: give {FORMS}")
    if unknown := [name for name in spec if name not in WORDS]:
        raise PlaceError(f"unknown key {shown(unknown[0])}: give {FORMS}.{did_you_mean(str(unknown[0]), WORDS)}")
    if ("find" in spec) == ("column" in spec):
        raise PlaceError(f"give one of 'find' and 'column': {FORMS}")
    occurrence = spec.get("occurrence", 1)
    if not isinstance(occurrence, int) or isinstance(occurrence, bool) or not occurrence:
        raise PlaceError(f"occurrence={shown(occurrence)}: count from 1, or from the end with -1")
    return Sought(_sought(spec["find"] if "find" in spec else _of_column(spec["column"], columns)), occurrence)


def _of_column(name: Any, columns: Mapping[str, Any]) -> Any:
    if name not in columns:
        known = ", ".join(columns) or "none"
        raise PlaceError(
            f"there is no column {shown(name)}; the columns are {known}.{did_you_mean(str(name), columns)}"
        )
    return columns[name]


def _sought(what: Any) -> str | tuple[int, ...]:
    ids = (what,) if isinstance(what, int) and not isinstance(what, bool) else what
    if isinstance(what, str) and what:
        return what
    if isinstance(ids, list | tuple) and ids and all(type(one) is int for one in ids):
        return tuple(ids)
    raise PlaceError(f"{shown(what)} cannot be looked for: give text, a token id or a list of ids")


def span(text: str, sought: Sought) -> tuple[int, int]:
    """The characters of a text at which another stands. Raises PlaceError."""
    assert isinstance(sought.what, str)
    starts = [match.start() for match in re.finditer(re.escape(sought.what), text)]
    start = _chosen(starts, sought, "the text")
    return start, start + len(sought.what)


def index(tokens: Sequence[int], sought: Sought, tokenizer: Tokenizer | None) -> int:
    """The index of the last token of a run of ids, or of a text as these. Raises PlaceError."""
    run = _ids(sought.what, tokenizer)
    ends = [at + len(run) - 1 for at in range(len(tokens) - len(run) + 1) if tuple(tokens[at : at + len(run)]) == run]
    return _chosen(ends, sought, "the tokens")


def _ids(what: str | tuple[int, ...], tokenizer: Tokenizer | None) -> tuple[int, ...]:
    if not isinstance(what, str):
        return what
    if tokenizer is None:
        raise PlaceError(f"{what!r} is text, and the row is token ids: give tokenizer= or vocab=, or find=[ids]")
    run = tuple(tokenizer.encode(what, add_special_tokens=False).ids)
    if not run:
        raise PlaceError(f"{what!r} is no token of the vocabulary")
    return run


def _chosen(found: Sequence[int], sought: Sought, where: str) -> int:
    at = sought.occurrence - 1 if sought.occurrence > 0 else len(found) + sought.occurrence
    if 0 <= at < len(found):
        return found[at]
    times = f"stands {len(found)} times in {where}" if found else f"stands nowhere in {where}"
    raise PlaceError(f"{shown(sought.what)} {times}, and occurrence={sought.occurrence} is asked")
