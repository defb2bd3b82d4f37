"""The runs below a directory, and what each says of its claims in a few fields: enough to list a thousand quickly.

They may be anyone's: links are not followed, every field is read as what it should be, and what is not is a sentence.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from scrub.claims.strangers import content
from scrub.claims.titles import with_file
from scrub.errors import ClaimError, shorten
from scrub.storage import files, stored

VERDICTS = ("supported", "refuted", "inconclusive", "undefined")
_STORED = {name: by for name, by in stored.WRITTEN_BY.items() if name != stored.DRAWINGS}
_LONGEST = 300  # letters of a field


@frozen
class TriedClaim:
    """One claim as one run found it. `setting` says how it was asked, in words: one changes, or no number does."""

    hypothesis: str
    verdict: str
    foil: bool
    passed: bool
    recovered: tuple[float | None, float | None, float | None]
    bar: float | None
    setting: tuple[tuple[str, str], ...]


@frozen
class RunBelow:
    """A directory with stored results: where it is below the one asked for, when it was written (seconds), and by
    which commands; `wrong` says why its tests cannot be read."""

    folder: str
    when: float
    commands: tuple[str, ...]
    claims: tuple[TriedClaim, ...] = ()
    wrong: str = ""


def runs_below(root: Path) -> tuple[RunBelow, ...]:
    """All runs at or below a directory, the latest first. Raises ClaimError where there is no such directory."""
    if not root.is_dir():
        raise ClaimError(f"{root} is no directory: give the one below which runs were kept with --out.")
    found = [_run(root, Path(place), names) for place, _, names in os.walk(root) if _STORED.keys() & set(names)]
    return tuple(sorted(found, key=lambda run: (-run.when, run.folder)))


def _run(root: Path, place: Path, names: list[str]) -> RunBelow:
    there = [name for name in _STORED if name in names]
    when = max((place / name).lstat().st_mtime for name in there)
    run = RunBelow(place.relative_to(root).as_posix(), when, tuple(_STORED[name] for name in there))
    if files.RUN not in there:
        return run
    try:
        return evolve(run, claims=_claims(json.loads(content(place / files.RUN))))
    except OSError as error:
        return evolve(run, wrong=f"{files.RUN} cannot be read: {error.strerror}.")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return evolve(run, wrong=f"{files.RUN} is damaged: it does not hold the results of `scrub test`.")


def _claims(found: Mapping[str, Any]) -> tuple[TriedClaim, ...]:
    return tuple(_claim(result, _word(found["scrub"])) for result in found["results"])


def _claim(result: Mapping[str, Any], version: str) -> TriedClaim:
    if result["verdict"] not in VERDICTS:
        raise ValueError(f"{result['verdict']!r} is no verdict")
    low, value, high = (_number(result["recovered"][end]) for end in ("low", "value", "high"))
    setting = {name: result[name] for name in ("digest", "rows", "draws", "seed", "expect", "options")}
    setting |= {"model": result["provenance"]["model"], "scrub": version}
    words = tuple((name, _word(value)) for name, value in setting.items())
    return TriedClaim(
        _word(with_file(result["hypothesis"])), result["verdict"], bool(result["foil"]), result["passed"] is True,
        (low, value, high), _number(result["bar"]), words,
    )  # fmt: skip


def _word(value: Any) -> str:
    text = ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)
    return shorten(text, _LONGEST)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
