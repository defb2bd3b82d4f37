"""The commands of publishing: `scrub freeze` writes a claim as data, `scrub diff` compares two claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.claims.freeze import CLAIM
from scrub.claims.hypothesis import Hypothesis
from scrub.cli.options import FINE, Place, Results, on_model, reporting, say, sound_claims
from scrub.errors import ClaimError, is_file


@click.command(short_help="Write a claim as pure data.")
@click.argument("target", metavar="FILE::NAME")
@click.option("--out", required=True, type=Place(), metavar="DIR", help="A directory to make.")
@on_model
@reporting
def freeze(target: str, out: Path, model: str | None) -> tuple[Results, int]:
    """Write a claim as pure data: text, JSON, rows and values. `scrub test DIR` re-runs it without its Python."""
    from scrub.verbs.freeze import freeze as run

    found = run(_one(target, model), out, model)
    say(str(found))
    return [found.to_dict()], FINE


@click.command(short_help="Compare two claims, one fact a line.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@reporting
def diff(a: str, b: str) -> tuple[Results, int]:
    """Compare two claims, each FILE::NAME or the directory of a frozen one: '-' what A says alone, '+' B alone."""
    from scrub.verbs.diff import diff as run

    found = run(*(_claim(target) for target in (a, b)))
    for line in str(found).splitlines():
        signs: dict[str, Any] = {"- ": {"fg": "red"}, "+ ": {"fg": "green"}}
        say(line, **signs.get(line[:2], {}))
    return [found.to_dict()], FINE


def _claim(target: str) -> Hypothesis | Path:
    """A frozen claim is compared as it stands: its model need not be here."""
    return Path(target) if is_file(Path(target) / CLAIM) else _one(target, None)


def _one(target: str, model: str | None) -> Hypothesis:
    first, *others = sound_claims((target,), model, expecting=False)
    if others:
        names = ", ".join(h.name for h in (first, *others))
        raise ClaimError(f"{target} holds {1 + len(others)} claims, {names}: name one, {target}::{first.name}.")
    return first
