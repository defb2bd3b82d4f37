"""`scrub cache`: what is kept of passes of rows, and the end of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import attrs
import click

from scrub.cli.endings import FINE
from scrub.cli.options import ExistingPath, Results, reporting, say
from scrub.errors import ClaimError
from scrub.model.memory import shown_bytes
from scrub.report import text


@click.command(short_help="List or clear what is kept of rows.")
@click.argument("folder", type=ExistingPath(), metavar="DIR")
@click.option("--clear", is_flag=True, help="Take all of it away.")
@reporting
def cache(folder: Path, clear: bool) -> tuple[Results, int]:
    """List what a directory of --cache, or of rows below --out, keeps of each model; --clear takes it away."""
    from scrub.storage.rows import ROWS, clear_rows, stored

    there = folder / ROWS if (folder / ROWS).is_dir() else folder
    if not there.is_dir():
        raise ClaimError(f"there is no directory {folder}: give the one of --cache, or of --out.")
    found = stored(there)
    if clear:
        clear_rows(there)
    shown = [(one.model[:12], str(one.rows), shown_bytes(one.bytes), _time(one.last)) for one in found]
    head = ("weights", "rows", "size", "last used")
    say("\n".join(text.table([head, *shown])) if found else "no rows are kept here")
    if clear and found:
        say("all of it was taken away")
    return [attrs.asdict(one) for one in found], FINE


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
