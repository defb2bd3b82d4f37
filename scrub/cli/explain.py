"""`scrub explain`: what breaks a claim."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from scrub.cli.endings import FINE
from scrub.cli.options import (
    KEPT,
    ExistingPath,
    Results,
    about,
    beside,
    going_on,
    reporting,
    running,
    say,
    sound_claims,
    spreading,
)


@click.command(short_help="Show what breaks a claim.")
@running
@spreading
@click.option("--row", type=int, help="Explain this row of the data set instead of the worst ones.")
@click.option("--out", type=ExistingPath(), metavar="DIR", help="Keep what is computed here; again, it goes on.")
@reporting
def explain(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int,
    row: int | None, out: Path | None, **backend: Any,
) -> tuple[Results, int]:  # fmt: skip
    """Show what breaks a claim: every swap alone, all but each, and the rows that suffer most."""
    from scrub.storage.directory import KEPT as LISTED
    from scrub.verbs.explain import explain as run_explain

    claims = sound_claims(targets, model)
    run = beside(out, claims, LISTED)
    found: list[Any] = []
    for hypothesis in claims:
        so_far: list[Any] = []
        with about(hypothesis), going_on(partial(_broken_off, so_far, out)):
            asked: dict[str, Any] = {"row": row, "out": run, **backend}
            found.append(run_explain(hypothesis, model, rows, draws, seed, **asked, ready=so_far.append))
        say(f"{'' if len(found) == 1 else chr(10)}{found[-1]}")
    return [e.to_dict() for e in found], FINE


def _broken_off(so_far: Sequence[Any], out: Path | None) -> str | None:
    """Print the last that was heard of an explanation, and say what is kept."""
    for explanation in so_far[-1:]:
        say(str(explanation))
    return None if out is None else KEPT.format(out)
