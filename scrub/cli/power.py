"""`scrub power`: how many rows a test needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.cli.endings import FINE
from scrub.cli.found import Found
from scrub.cli.options import (
    ExistingPath,
    Results,
    beside,
    reporting,
    running,
    sound_claims,
    storing,
)
from scrub.storage import stored


@click.command(short_help="Say how many rows a test needs.")
@running
@click.option("--run", type=ExistingPath(), metavar="RUN", help="Take a stored run's numbers; nothing is computed.")
@storing
@reporting
def power(targets: tuple[str, ...], run: Path | None, out: Path | None, **asked: Any) -> tuple[Results, int]:
    """Say which differences a test of so many rows and draws could tell, from a pilot of 32 rows x 2 draws."""
    from scrub.verbs.power import power as foretell

    claims = sound_claims(targets, asked["model"], expecting=False, foils=False)
    found = Found(beside(out, claims, stored.POWER), stored.POWER)
    return found.of_each(claims, lambda hypothesis: foretell(hypothesis, run=run, **asked)), FINE
