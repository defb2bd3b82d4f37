"""`scrub new`: a hypothesis file to start from."""

from __future__ import annotations

from pathlib import Path

import click

from scrub.cli.options import (
    ExistingPath,
)
from scrub.errors import escaped


@click.command(short_help="Write a hypothesis file to start from.")
@click.argument("file", type=ExistingPath())
@click.option("--like", default="induction", show_default=True, help="The claim of the gallery to start from.")
@click.option("--model", metavar="DIR", help="Write the claim for this model instead.")
def new(file: Path, like: str, model: str | None) -> None:
    """Write a commented hypothesis file that `scrub check` accepts, a foil included."""
    from scrub.verbs.new import write_new

    write_new(file, like, model)
    click.echo(escaped(f"wrote {file}. Next: scrub check {file}; scrub show {file}; scrub test {file}"))
