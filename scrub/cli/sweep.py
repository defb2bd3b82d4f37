"""`scrub sweep`: many senders patched, one at a time."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scrub.cli.endings import FINE
from scrub.cli.options import ExistingPath, Results, again, picture_file, say
from scrub.cli.patching import Patching, patched, patches
from scrub.report.saved import save_picture
from scrub.storage import stored

if TYPE_CHECKING:
    from scrub.circuit.sweep import Sweep


@click.command(short_help="Patch many parts, one at a time: a heat map.")
@click.option(
    "--senders",
    default="heads mlps",
    show_default=True,
    metavar="NAMES",
    help="Such as 'heads 0-3, mlps', 'queries 9'.",
)
@click.option("--to", default="~all~> logits", show_default=True, metavar="PATH", help="The rest of the path.")
@click.option("--at", metavar="POSITIONS", help="Such as 'END S2': each is swept on its own (default: all at once).")
@click.option("--picture", type=ExistingPath(), metavar="FILE", help="Write the heat map: .svg, .png or .pdf.")
@patches
def sweep(senders: str, to: str, at: str | None, picture: Path | None, **asked: Any) -> tuple[Results, int]:
    """Patch many senders along one path, one at a time, and tell the effect of each on the metric.

    In the setting of a claim, or with --model, --data and --metric. `--to '~all~> logits'` is activation patching,
    `-> logits` the direct effect, `-> 9.9.q ~all~> logits` a path by the queries of a head.
    """
    from scrub.verbs.sweep import sweep as run

    picture_file(picture)
    begun: list[Sweep] = []
    places = None if at is None else at.replace(",", " ").split() or at

    def one(**setting: Any) -> Sweep:
        found = run(senders, to, at=places, ready=begun.append, **setting)
        if picture is not None:
            _draw(found, picture)
        return found

    return patched(asked, Patching(stored.SWEEP, one, "read", begun, _again)), FINE


def _again(part: Sweep) -> str:
    """The options for the senders that are left."""
    return f"{again('senders')} --senders {shlex.quote(' '.join(map(str, part.unfinished)))}"


def _draw(found: Sweep, file: Path) -> None:
    from scrub.report.sweep import sweep_svg

    save_picture(sweep_svg(found), file)
    say(f"picture: {file}")
