"""The command of reports: what commands stored in one directory as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from scrub.cli.endings import FINE
from scrub.cli.options import ExistingPath, Results, reporting, say
from scrub.verbs.report import write_page


@click.command(short_help="Make one HTML file of what is stored.")
@click.argument("run", type=ExistingPath())
@reporting
def report(run: Path) -> tuple[Results, int]:
    """Make one HTML file of what commands stored with --out RUN.

    It opens offline and runs no scripts.
    """
    made = write_page(run)
    say(f"report: {made}")
    return [{"run": str(run), "report": str(made)}], FINE
