"""`scrub freeze`: a claim as pure data."""

from __future__ import annotations

from pathlib import Path

import click

from scrub.claims.hypothesis import Hypothesis
from scrub.cli.endings import FINE
from scrub.cli.options import ExistingPath, Results, on_model, reporting, say, sound_claims
from scrub.errors import ClaimError


@click.command(short_help="Write a claim as pure data.")
@click.argument("target", metavar="FILE::NAME")
@click.option("--out", required=True, type=ExistingPath(), metavar="DIR", help="A directory to make.")
@on_model
@reporting
def freeze(target: str, out: Path, model: str | None, stream: bool) -> tuple[Results, int]:
    """Write a claim as pure data: text, JSON, rows and values. `scrub test DIR` re-runs it without its Python."""
    from scrub.verbs.freeze import freeze as run

    found = run(one_claim(target, model), out, model, stream)
    say(str(found))
    return [found.to_dict()], FINE


def one_claim(target: str, model: str | None) -> Hypothesis:
    first, *others = sound_claims((target,), model, expecting=False)
    if others:
        names = ", ".join(h.name for h in (first, *others))
        raise ClaimError(f"{target} holds {1 + len(others)} claims, {names}: name one, {target}::{first.name}.")
    return first
