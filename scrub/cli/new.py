"""`scrub new`: a hypothesis file to start from."""

from __future__ import annotations

from pathlib import Path

import click

from scrub.cli.options import (
    ExistingPath,
)
from scrub.errors import ClaimError, escaped


@click.command(short_help="Write a hypothesis file to start from.")
@click.argument("file", type=ExistingPath())
@click.option(
    "--like", default="induction", show_default=True, help="The claim of the gallery, or the example, to start from."
)
@click.option("--model", metavar="NAME|DIR", help="Write the claim for this model instead.")
@click.option(
    "--from-graph",
    "graph",
    type=ExistingPath(),
    metavar="FILE",
    help="Start from an attribution graph of circuit-tracer or Neuronpedia: its supernodes as variables.",
)
@click.option(
    "--dictionary", "dictionaries", type=ExistingPath(), metavar="DIR", multiple=True,
    help="With --from-graph: the transcoders whose latents it names, or a folder of them; may be repeated.",
)  # fmt: skip
def new(file: Path, like: str, model: str | None, graph: Path | None, dictionaries: tuple[Path, ...]) -> None:
    """Write a commented hypothesis file that `scrub check` accepts, a foil included; or, from an attribution graph,
    one whose stubs it names."""
    from scrub.verbs.new import write_new

    if graph is not None:
        from scrub.verbs.new_from_graph import write_from_graph

        write_from_graph(file, graph, dictionaries, model)
        click.echo(escaped(f"wrote {file}, with stubs to fill in. Next: scrub check {file} names what is left to do"))
        return
    if dictionaries:
        raise ClaimError("--dictionary: it says where the latents of a graph lie: give --from-graph FILE too.")
    click.echo(escaped(f"wrote {file}. Next: {write_new(file, like, model)}"))
