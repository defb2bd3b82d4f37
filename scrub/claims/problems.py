"""A problem of a claim: where, what was found, the nearest good value, what to do. All are shown at once."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, runtime_checkable

from attrs import evolve, frozen

from scrub.claims.plain import as_dict
from scrub.errors import ClaimError, some
from scrub.shown import shown


@runtime_checkable
class Written(Protocol):
    """Anything that knows where it was written: a site, a variable, a hypothesis."""

    @property
    def file(self) -> str | None: ...
    @property
    def line(self) -> int | None: ...


SHOWN = 4  # names in the head of a problem


@frozen
class Problem:
    """One thing that is wrong. `variable` is empty for the claim as a whole, `hypothesis` for a file.

    `of_claim` says that the place is the claim's own, for want of a nearer one.
    """

    found: str
    fix: str = ""
    nearest: str | None = None
    variable: str = ""
    hypothesis: str = ""
    file: str | None = None
    line: int | None = None
    of_claim: bool = False

    def at(self, place: Written) -> Problem:
        """The same problem, located where something was written."""
        return evolve(self, file=place.file, line=place.line)

    @property
    def text(self) -> str:
        """What was found, what is near, what to do; without the place."""
        near = f"Did you mean {self.nearest}?" if self.nearest else ""
        return "  ".join(part for part in (self.found, near, self.fix) if part)

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line) if part)
        who = " > ".join(part for part in (self.hypothesis, self.variable) if part)
        head = "  ".join(part for part in (where, who) if part)
        return f"{head}\n    {self.text}" if head else self.text

    @property
    def record(self) -> dict[str, Any]:
        """The problem as the JSON of commands has it."""
        return {k: getattr(self, k) for k in ("file", "line", "variable", "found", "nearest", "fix")}

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)

    def _repr_html_(self) -> str:
        return shown(self, "html")


class ClaimProblems(ClaimError):
    """Everything that is wrong with a claim, in one message."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, gathered(self.problems))))

    def _repr_html_(self) -> str:
        return shown(self, "html")


def located(problems: Iterable[Problem], hypothesis: str, file: str | None, line: int | None) -> list[Problem]:
    """The problems with the claim's name, and with the claim's own place where they have none."""
    found: list[Problem] = []
    for problem in problems:
        own = problem.line is None
        at_file = file if own or same_file(problem.file, file) else _shown(problem.file)
        name = problem.hypothesis or hypothesis
        at_line = line if own else problem.line
        found.append(evolve(problem, hypothesis=name, file=at_file, line=at_line, of_claim=own))
    return found


def gathered(problems: Iterable[Problem]) -> list[Problem]:
    """Each mistake once, with the claims and variables it stands in, where it was met first.

    A mistake in a setting that claims share is found in each of them, at that claim's own place; one in a site that
    was written at the top of a file is found in the file, and in the claims that have the site.
    """
    groups: dict[tuple[object, ...], list[Problem]] = {}
    for p in problems:
        groups.setdefault((p.file, None if p.of_claim else p.line, p.text), []).append(p)
    return [
        evolve(
            group[0],
            hypothesis=some(dict.fromkeys(p.hypothesis for p in group if p.hypothesis), SHOWN),
            variable=some(dict.fromkeys(p.variable for p in group if p.variable), SHOWN),
        )
        for group in groups.values()
    ]


def same_file(first: str | None, second: str | None) -> bool:
    """Whether two paths name one file; a missing path stands for the claim's own."""
    return first is None or second is None or os.path.realpath(first) == os.path.realpath(second)


_ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_LIBRARIES = (
    _ROOT,
    *(os.path.realpath(sysconfig.get_path(n)) for n in ("stdlib", "platstdlib", "purelib", "platlib")),
)


def innermost(error: BaseException) -> tuple[str, int] | tuple[None, None]:
    """File and line of a user's own code in which an error arose, or from which it came out of a library."""
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    own = [(file, line) for file, line in frames if line is not None and not _installed(file)]
    return own[-1] if own else (None, None)


def _installed(file: str) -> bool:
    made = file.startswith(("<frozen ", "<attrs generated "))
    return made or os.path.realpath(file).startswith(tuple(f"{p}{os.sep}" for p in _LIBRARIES))


def at_line(error: BaseException) -> str:
    """` (claims.py:31)`: where a user's function failed, behind what it raised; empty where no line is theirs."""
    file, line = innermost(error)
    return f" ({os.path.basename(file)}:{line})" if file else ""


def written_at(inside: str) -> tuple[str, int] | tuple[None, None]:
    """File and line that are being run: those of the first frame outside the file `inside`."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code.co_filename in (inside, __file__):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else (None, None)


_collected: ContextVar[list[Problem] | None] = ContextVar("_collected", default=None)


@contextmanager
def collecting() -> Generator[list[Problem]]:
    """Within, wrong sites and arguments do not raise: they become problems, all told at once."""
    found: list[Problem] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def problem_at(found: str, inside: str, near: str | None = None) -> Problem:
    """A problem of what is being written outside the file `inside`. Raises ClaimError unless `collecting`."""
    if _collected.get() is None:
        raise ClaimError(Problem(found, "", near).text)
    file, line = written_at(inside)
    return Problem(found, "", near, file=file, line=line)


def collect(problem: Problem) -> None:
    """Hand a problem to the `collecting` around."""
    found = _collected.get()
    assert found is not None
    found.append(problem)


def _shown(file: str | None) -> str | None:
    """A path as a user would write it: relative when it lies below the working directory."""
    if file is None or not os.path.isabs(file):
        return file
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative
