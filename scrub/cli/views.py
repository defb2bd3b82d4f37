"""`scrub views`: what a claim's components look like from inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.cli.endings import FINE
from scrub.cli.options import (
    Results,
    about,
    beside,
    command_line,
    going_on,
    on_device,
    on_model,
    reporting,
    say,
    sound_claims,
    storing,
    targeted,
)
from scrub.storage import stored


@click.command(short_help="Show attention, streams and writes of what a claim names.")
@targeted
@on_model
@click.option("--rows", type=int, help="A seeded subset of this many scored rows (default: all).")
@click.option("--draws", default=5, show_default=True, help="Draws of what the scrubbed model predicts otherwise.")
@click.option("--seed", default=0, show_default=True, help="The seed of every draw.")
@click.option("--only", metavar="VIEWS", help="Such as 'attention lens written matching direct probes otherwise'.")
@click.option("--show", default=3, show_default=True, help="Rows that are shown token by token.")
@on_device
@storing
@reporting
def views(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, only: str | None,
    show: int, out: Path | None, **backend: Any,
) -> tuple[Results, int]:  # fmt: skip
    """Look at what a claim names: attention, logit lens, writes, direct logit attribution, probes.

    Evidence, not a test: no score or verdict comes of it, and the exit code is 0.
    """
    from scrub.verbs.views import views as look

    claims = sound_claims(targets, model, expecting=False, foils=False)
    run, found = beside(out, claims, stored.VIEWS), Results()

    def kept() -> str | None:
        if run is None or not found:
            return None
        stored.save(run.folder, stored.VIEWS, found, command_line())
        return f"the views above are kept in {run.folder}"

    for hypothesis in claims:
        with about(hypothesis), going_on(kept):
            one = look(hypothesis, model, rows, draws, seed, only=only, show=show, **backend)
        say(f"{chr(10) * bool(found)}{one}")
        found.append(one.to_dict())
    kept()
    return found, FINE
