"""`scrub shrink`: make a claim smaller while it stays as good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.cli.endings import FINE
from scrub.cli.found import Found
from scrub.cli.options import Results, exactly, one_file, reporting, revising, running, sound_claims, spreading


@click.command(short_help="Make a claim smaller while it stays as good.")
@running
@spreading
@exactly
@revising
@reporting
def shrink(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int,
    exact: bool, worth: float, write: Path | None, **backend: Any,
) -> tuple[Results, int]:  # fmt: skip
    """Make supported claims as small as they can be: every step with what it costs, then the claim."""
    from scrub.verbs.shrink import shrink as run_shrink

    claims = sound_claims(targets, model, expecting=True, foils=False)
    found = Found(None, "")
    return found.of_each(one_file(claims, write), lambda hypothesis: run_shrink(
        hypothesis, model, rows, draws, seed, exact, worth=worth, write=write, **backend
    )), FINE  # fmt: skip
