"""`--part` of commands that keep blocks: which share of them, and when it is done."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from attrs import evolve

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.titles import name_of
from scrub.cli.options import Command, how, options, say
from scrub.errors import ClaimError

if TYPE_CHECKING:
    from scrub.storage.directory import Run


def parting(command: Command) -> Command:
    words = "Compute part I of N of the blocks, such as 2/8, kept in --out: for arrays of jobs, and scrub merge."
    return click.option("--part", metavar="I/N", help=words)(command)


@contextmanager
def as_part(run: Run | None, given: str | None, claims: Sequence[Hypothesis]) -> Generator[Run | None]:
    """The run as a part, whose directory says what it is a part of, before and after. Raises ClaimError."""
    from scrub.storage.directory import short
    from scrub.storage.parts import AskedPart, write_part
    from scrub.storage.share import JobPart

    if given is None:
        yield run
        return
    part, names = JobPart.parse(given), tuple(short(name_of(claim)) for claim in claims)
    if run is None:
        raise ClaimError(f"--part {given}: the blocks of a part are kept: say where, --out DIR.")
    command = f"{click.get_current_context().info_name} {' '.join(names)}{options()}"
    asked = AskedPart(part.of, command, names, {}, how())
    write_part(run.folder, part, asked)
    yield evolve(run, part=part)
    write_part(run.folder, part, evolve(asked, depends=run.depends))


@contextmanager
def until_others(title: str) -> Generator[None]:
    """Where a part needs the others it is done, and says so."""
    from scrub.storage.share import PartKept

    try:
        yield
    except PartKept as done:
        say(f"{title}: {done}")
