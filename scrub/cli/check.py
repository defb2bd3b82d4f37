"""`scrub check`: every problem of claims at once."""

from __future__ import annotations

from typing import Any

import click

from scrub.claims.collect import collect
from scrub.claims.problems import Problem
from scrub.cli.endings import FINE, MISUSE
from scrub.cli.options import (
    Results,
    on_model,
    reporting,
    say,
    targeted,
)
from scrub.model.resolve import check as run_check
from scrub.report import text


@click.command(short_help="Find every problem of the claims at once.")
@targeted
@on_model
@reporting
def check(targets: tuple[str, ...], model: str | None, stream: bool) -> tuple[Results, int]:
    """Find every problem of the claims at once, and how often their stories are right.

    Runs no model, but the files of the claims; a frozen claim alone runs nothing.
    """
    found = collect(targets)
    checks = [run_check(h, model, stream) for h in found.hypotheses]
    say(text.checks_text(checks, found.problems))
    files = [_broken(problem) for problem in found.problems]
    wrong = found.problems or any(c.problems for c in checks)
    return [c.to_dict() for c in checks] + files, MISUSE if wrong else FINE


def _broken(problem: Problem) -> dict[str, Any]:
    """The entry of a file that could not be read."""
    return {"hypothesis": problem.file, "problems": [problem.record], "warnings": [], "accuracy": None}
