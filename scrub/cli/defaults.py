"""Defaults of a project: `[tool.scrub]` in the nearest `pyproject.toml`, from the working directory upwards.

What is given on the command line goes before them. Every command looks at the whole table, and takes what it has an
option for; `rows` and `draws` are those of a test, so that what chooses its own (`propose`, `fit`: rows that are
seen; donors, ablations and subsets: other draws) leaves them alone. Results name those that took effect.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from scrub.errors import ClaimError, did_you_mean, unread

FILE, TABLE = "pyproject.toml", "[tool.scrub]"
NUMBERS = {"rows": 1, "draws": 1, "seed": 0}  # and the least of each
WORDS = ("device", "dtype", "memory")
OTHERS = {  # commands whose option of this name is about something else
    "rows": ("propose", "fit"),
    "draws": ("propose", "criteria", "interchange", "sweep", "patch"),
}


def defaults_for(commands: Iterable[str]) -> dict[str, dict[str, Any]]:
    """For each command the defaults that it takes, for click. Raises ClaimError with all that is wrong with them."""
    file = _nearest(Path.cwd())
    found = {} if file is None else _table(file)
    if file is not None and (wrong := [said for name, value in found.items() if (said := _wrong(name, value))]):
        raise ClaimError("\n".join(f"{file}: {TABLE} {said}" for said in wrong))
    return {c: {name: value for name, value in found.items() if c not in OTHERS.get(name, ())} for c in commands}


def taken() -> dict[str, Any]:
    """The defaults of the project that took effect in the command that runs."""
    context = click.get_current_context()
    names = [name for name in (*NUMBERS, *WORDS) if name in context.params]
    return {n: context.params[n] for n in names if context.get_parameter_source(n) is ParameterSource.DEFAULT_MAP}


def _nearest(folder: Path) -> Path | None:
    files = (above / FILE for above in (folder, *folder.parents))
    return next((file for file in files if file.is_file()), None)


def _table(file: Path) -> dict[str, Any]:
    """The table of a file, empty where it has none. Raises ClaimError."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("scrub", {})
    except OSError as error:
        raise ClaimError(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, AttributeError) as error:
        raise ClaimError(f"{file} is no TOML that {TABLE} could be read from: {unread(error)}.") from None
    if not isinstance(found, dict):
        raise ClaimError(
            f"{file}: tool.scrub = {found!r}: write a table, {TABLE}, and below it lines such as rows = 200."
        )
    return found


def _wrong(name: str, value: Any) -> str | None:
    """What is wrong with one line of the table."""
    known = (*NUMBERS, *WORDS)
    if name not in known:
        return f"{name}: no such default.{did_you_mean(name, known)} There are {', '.join(known)}."
    if name in WORDS:
        return None if isinstance(value, str) else f'{name} = {value!r}: write text, such as "{_SUCH_AS[name]}".'
    if isinstance(value, bool) or not isinstance(value, Integral):
        return f"{name} = {value!r}: write a whole number."
    least = NUMBERS[name]
    return f"{name} = {value}: write a whole number from {least} on." if int(value) < least else None


_SUCH_AS = {"device": "cuda", "dtype": "float64", "memory": "2GB"}
