"""`scrub diff`: two claims, one fact a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.claims.frozen_files import CLAIM
from scrub.claims.hypothesis import Hypothesis
from scrub.cli.endings import FINE
from scrub.cli.freeze import one_claim
from scrub.cli.options import Results, reporting, say
from scrub.errors import is_file


@click.command(short_help="Compare two claims, one fact a line.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@reporting
def diff(a: str, b: str) -> tuple[Results, int]:
    """Compare two claims, each FILE::NAME or the directory of a frozen one: '-' what A says alone, '+' B alone."""
    from scrub.verbs.diff import diff as run

    found = run(*(_claim(target) for target in (a, b)))
    for line in str(found).splitlines():
        signs: dict[str, Any] = {"- ": {"fg": "red"}, "+ ": {"fg": "green"}}
        say(line, **signs.get(line[:2], {}))
    return [found.to_dict()], FINE


def _claim(target: str) -> Hypothesis | Path:
    """A frozen claim is compared as it stands: its model need not be here."""
    return Path(target) if is_file(Path(target) / CLAIM) else one_claim(target, None)
