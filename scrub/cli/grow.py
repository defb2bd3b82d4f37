"""`scrub grow`: add what a claim leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.cli.endings import FINE
from scrub.cli.found import Found
from scrub.cli.options import Results, exactly, one_file, reporting, revising, running, sound_claims, spreading


@click.command(short_help="Add what a claim leaves out.")
@running
@spreading
@exactly
@revising
@reporting
def grow(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int,
    exact: bool, worth: float, write: Path | None, **backend: Any,
) -> tuple[Results, int]:  # fmt: skip
    """Add what claims leave out: every step with what it gains, then the claim."""
    from scrub.verbs.grow import grow as run_grow

    claims = sound_claims(targets, model, expecting=False, foils=False)
    found = Found(None, "")
    return found.of_each(one_file(claims, write), lambda hypothesis: run_grow(
        hypothesis, model, rows, draws, seed, exact, worth=worth, write=write, **backend
    )), FINE  # fmt: skip
