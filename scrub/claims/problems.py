"""A problem of a claim: where, what was found, the nearest good value, what to do. All are shown at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import asdict, evolve, frozen

from scrub.errors import ClaimError


@frozen
class Problem:
    """One thing that is wrong. `variable` is empty for the claim as a whole, `hypothesis` for a file."""

    found: str
    fix: str = ""
    nearest: str | None = None
    variable: str = ""
    hypothesis: str = ""
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line) if part)
        who = " > ".join(part for part in (self.hypothesis, self.variable) if part)
        head = "  ".join(part for part in (where, who) if part)
        near = f"Did you mean {self.nearest}?" if self.nearest else ""
        body = "  ".join(part for part in (self.found, near, self.fix) if part)
        return f"{head}\n    {body}" if head else body

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class ClaimProblems(ClaimError):
    """Everything that is wrong with a claim, in one message."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def located(problems: Iterable[Problem], hypothesis: str, file: str | None, line: int | None) -> list[Problem]:
    """The problems with the claim's own place filled in where they have none."""
    return [
        evolve(p, hypothesis=p.hypothesis or hypothesis, file=p.file or file, line=p.line or line) for p in problems
    ]
