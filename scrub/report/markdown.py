"""Results as a table in Markdown, fit for the page of a CI run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scrub.report.text import summary

if TYPE_CHECKING:
    from scrub.score.result import Result

_HEAD = ("", "claim", "verdict", "recovered", "bar", "reason")


def markdown_text(results: Sequence[Result]) -> str:
    """A heading, what passes, and a line for each claim: verdict, recovered [low, high], bar, reason."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_row, results)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(["## Claims", "", summary(results), "", *lines])


def _row(result: Result) -> tuple[str, ...]:
    recovered = "undefined" if result.recovered.value is None else str(result.recovered)
    reason = f"{result.reason} Foil: {result.foil}" if result.foil else result.reason
    verdict = f"{result.verdict}, as a foil should be" if result.foil and result.passed else result.verdict
    cells = ("passes" if result.passed else "**fails**", result.hypothesis, verdict, recovered)
    return tuple(map(_cell, (*cells, f"{result.bar:.2f}", reason)))


def _cell(text: str) -> str:
    """Text that ends no cell and no line, and starts no tag."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
