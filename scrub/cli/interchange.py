"""`scrub interchange`: does a variable's value make the difference that the story says?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.cli.endings import FINE
from scrub.cli.found import Found
from scrub.cli.options import (
    Results,
    beside,
    on_device,
    on_model,
    reporting,
    sampled,
    sound_claims,
    spreading,
    storing,
    targeted,
)
from scrub.storage import stored


@click.command(short_help="Exchange variables between rows that differ.")
@targeted
@on_model
@sampled(5, "Donors for each row and variable.")
@on_device
@spreading
@storing
@reporting
def interchange(targets: tuple[str, ...], out: Path | None, **asked: Any) -> tuple[Results, int]:
    """Put a variable's value on another row in its place: does the model then answer what the story says?

    For every variable of a claim, and for all of them jointly. No verdict is given, so that the exit code is 0;
    `recovers(interchange=0.9)` makes it a part of `scrub test`. Foils are asked only where they are named.
    """
    from scrub.verbs.interchange import interchange as run

    claims = sound_claims(targets, asked["model"], expecting=False, foils=False)
    found = Found(beside(out, claims, stored.INTERCHANGE), stored.INTERCHANGE)
    return found.of_each(claims, lambda hypothesis: run(hypothesis, **asked)), FINE
