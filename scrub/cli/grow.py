"""`scrub grow`: add what a claim leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.cli.endings import FINE
from scrub.cli.options import Results, about, exactly, one_file, reporting, revising, running, say, sound_claims


@click.command(short_help="Add what a claim leaves out.")
@running
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
    found: list[Any] = []
    for hypothesis in one_file(claims, write):
        with about(hypothesis):
            found.append(run_grow(
                hypothesis, model, rows, draws, seed, exact, worth=worth, **backend, write=write
            ))  # fmt: skip
        say(f"{'' if len(found) == 1 else chr(10)}{found[-1]}")
    return [one.to_dict() for one in found], FINE
