"""The command that compares rival claims: what `scrub compare` prints is what `scrub.compare` returns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scrub.claims.titles import short_name
from scrub.cli.endings import FINE
from scrub.cli.options import (
    KEPT,
    ExistingPath,
    Results,
    beside,
    command_line,
    controlled,
    exactly,
    going_on,
    picture_file,
    reporting,
    running,
    say,
    sound_claims,
    spreading,
    storing,
)
from scrub.cli.parting import as_part, parting, until_others
from scrub.errors import ClaimError
from scrub.report.saved import save_picture
from scrub.storage import stored

if TYPE_CHECKING:
    from scrub.score.comparison import Comparison
    from scrub.score.result import Result


@click.command(short_help="Say which of rival claims explains more.")
@running
@spreading
@exactly
@controlled
@click.option("--picture", type=ExistingPath(), metavar="FILE", help="Write share against bits: .svg, .png or .pdf.")
@storing
@parting
@reporting
def compare(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int,
    exact: bool, controls: str | None, picture: Path | None, out: Path | None, cache: Path | None,
    part: str | None, stream: bool, **backend: Any,
) -> tuple[Results, int]:  # fmt: skip
    """Compare all claims of the targets, foils too: same model, rows, seed and draws, paired by row.

    Name two claims or more, file.py::name each, or a file that holds them. Each is judged as scrub test does, its
    controls included; claims need no expectation to be compared, and the exit code is 0 whoever is better.
    """
    from scrub.report.comparison import details, headline
    from scrub.report.pareto import comparison_svg
    from scrub.verbs.compare import compare as run_compare

    picture_file(picture)
    claims = sound_claims(targets, model, expecting=False)
    if len(claims) < 2:
        raise ClaimError(f"only one claim in {', '.join(targets)}: name a second one to compare it with.")
    run = beside(out, claims, stored.COMPARISON)
    judged: list[Result] = []
    compared: list[Comparison] = []

    def kept() -> str | None:
        for result in judged:
            say(f"{short_name(result.hypothesis)}: recovered {result.recovered}")
        return None if out is None else KEPT.format(out)

    with going_on(kept), as_part(run, part, claims) as run, until_others(", ".join(h.title for h in claims)):
        compared += [run_compare(
            *claims, model=model, rows=rows, draws=draws, seed=seed, exact=exact, **backend,
            controls=controls or "shuffled", out=run, ready=judged.append, cache=cache, stream=stream,
        )]  # fmt: skip
    if not compared:  # a part, which needs the others
        return [], FINE
    (found,) = compared
    say(headline(found), bold=True)
    say("\n".join(details(found)))
    if picture is not None:
        save_picture(comparison_svg(found), picture)
        say(f"picture: {picture}")
    if run is not None:
        stored.save(run.folder, stored.COMPARISON, [found.to_dict()], command_line())
    return [found.to_dict()], FINE
