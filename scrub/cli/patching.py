"""What `scrub sweep` and `scrub patch` share: the setting of a claim, or of a model and data at hand, and the words
of a protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from attrs import field, frozen

from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.protocol import DIRECTIONS
from scrub.claims.wording import ABLATIONS
from scrub.cli.found import Found
from scrub.cli.options import (
    Command,
    ExistingPath,
    Results,
    again,
    beside,
    going_on,
    number_or_word,
    on_device,
    on_model,
    reporting,
    sound_claims,
    storing,
)
from scrub.errors import ClaimError

PROTOCOL = ("ablation", "direction", "pair", "group", "reference")
Patch = Callable[..., Any]


def patches(command: Command) -> Command:
    """Targets, or `--model`, `--data` and `--metric`; the protocol; rows, draws and device; `--out` and `--json`."""
    command = on_model(on_device(storing(reporting(command))))
    for option in (
        click.option(
            "--reference", metavar="COLUMN", help="Boolean column of the rows that patched values come from."
        ),
        click.option("--group", metavar="COLUMN", help="Column within which patched values are taken."),
        click.option("--pair", metavar="COLUMN", help="Column that names each row's partner (--ablation paired)."),
        click.option("--direction", type=click.Choice(DIRECTIONS), help="Patch into the model's run, or restore."),
        click.option("--ablation", type=click.Choice(ABLATIONS.names()), help="What is patched in (default: mean)."),
        click.option("--seed", default=0, show_default=True, help="The seed of every draw."),
        click.option("--draws", type=int, help="Draws for each row (--ablation resample alone; default: 5)."),
        click.option("--rows", type=int, help="A seeded subset of this many rows (default: all)."),
        click.option("--scored", metavar="COLUMN", help="Boolean column of the rows to use (with --data)."),
        click.option("--read", metavar="POSITION", help="Where logits are read (with --data; default: the end)."),
        click.option("--metric", metavar="METRIC", help="Such as 'logit_diff(io, s1)' (with --data)."),
        click.option("--data", type=ExistingPath(), metavar="FILE", help="Rows as JSON, one a line."),
        click.argument("targets", nargs=-1, metavar="[FILE::NAME]..."),
    ):
        command = option(command)
    return command


@frozen
class Patching:
    """What is `run`, which calls the reading position `read`, and the file that its results are stored as.

    `begun` and `again` are those of `Found`.
    """

    file: str
    run: Patch
    read: str
    begun: list[Any] = field(factory=list[Any])
    again: Callable[[Any], str] = lambda part: again()


def patched(asked: dict[str, Any], patching: Patching) -> Results:
    """What a verb finds in the setting of each claim, or in the one at hand."""
    targets, out, model = asked.pop("targets"), asked.pop("out"), asked["model"]
    at_hand = {name: asked.pop(name) for name in ("data", "metric", "read", "scored")}
    words = {name: asked.pop(name) for name in PROTOCOL}
    asked |= {name: word for name, word in words.items() if word is not None}
    if targets:
        said = [f"--{name}" for name, value in at_hand.items() if value is not None]
        if said:
            raise ClaimError(f"{', '.join(said)}: {targets[0]} says this itself: leave it out, or name no claim.")
        claims = sound_claims(targets, model, expecting=False, foils=False)
        found = _found(patching, out, claims)
        return found.of_each(claims, lambda claim: patching.run(hypothesis=claim, **asked))
    found, setting = _found(patching, out), _setting(at_hand, model, patching.read)
    with going_on(found.part):
        found(patching.run(**asked, **setting))
    return found.results


def _found(patching: Patching, out: Path | None, claims: Sequence[Hypothesis] = ()) -> Found:
    file = patching.file
    return Found(beside(out, claims, file), file, patching.again, begun=patching.begun)


def _setting(at_hand: dict[str, Any], model: str | None, read: str) -> dict[str, Any]:
    """The setting without a claim. Raises ClaimError naming what it lacks, DataError."""
    needed = {"model": model, "data": at_hand["data"], "metric": at_hand["metric"]}
    if lacking := [f"--{name}" for name, value in needed.items() if value is None]:
        raise ClaimError(f"name a claim, file.py::name, or give {', '.join(lacking)} as well.")
    data: Path = at_hand["data"]
    where = {} if at_hand["read"] is None else {read: number_or_word(at_hand["read"])}
    return {"data": Dataset.from_jsonl(data), "metric": at_hand["metric"], "scored": at_hand["scored"], **where}
