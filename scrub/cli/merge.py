"""`scrub merge`: the directories of parts become one."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from scrub.cli.endings import FINE
from scrub.cli.options import ExistingPath, Results, reporting, say


@click.command(short_help="Merge the directories of --part.")
@click.argument("folders", nargs=-1, required=True, type=ExistingPath(), metavar="DIR...")
@click.option("--out", type=ExistingPath(), required=True, metavar="DIR", help="Where all blocks are put together.")
@reporting
def merge(folders: tuple[Path, ...], out: Path) -> tuple[Results, int]:
    """Put the blocks of parts of one run together; the same command on --out then goes on from there."""
    from scrub.storage.parts import merge_parts

    found = merge_parts(folders, out)
    say(f"{out}: {found.blocks} blocks, {found.new} of them new")
    if found.missing:
        say(f"not among them: parts {', '.join(found.missing)}, whose blocks are computed by what comes next")
    say(f"go on with `scrub {found.command} --out {out}`")
    return [attrs.asdict(found)], FINE
