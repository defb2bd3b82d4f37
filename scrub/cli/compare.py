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
    caching,
    command_line,
    controlled,
    exactly,
    going_on,
    reporting,
    running,
    say,
    sound_claims,
    storing,
    streaming,
    svg_file,
)
from scrub.errors import ClaimError
from scrub.storage import files, stored

if TYPE_CHECKING:
    from scrub.score.result import Result


@click.command(short_help="Say which of rival claims explains more.")
@running
@caching
@streaming
@exactly
@controlled
@click.option("--picture", type=ExistingPath(), metavar="FILE.svg", help="Write share against bits as a picture.")
@storing
@reporting
def compare(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int,
    exact: bool, controls: str | None, picture: Path | None, out: Path | None, cache: Path | None,
    stream: bool, **backend: Any,
) -> tuple[Results, int]:  # fmt: skip
    """Compare all claims of the targets, foils too: same model, rows, seed and draws, paired by row.

    Name two claims or more, file.py::name each, or a file that holds them. Each is judged as scrub test does, its
    controls included; claims need no expectation to be compared, and the exit code is 0 whoever is better.
    """
    from scrub.report.comparison import details, headline
    from scrub.report.pareto import comparison_svg
    from scrub.verbs.compare import compare as run_compare

    svg_file(picture)
    claims = sound_claims(targets, model, expecting=False, stream=stream)
    if len(claims) < 2:
        raise ClaimError(f"only one claim in {', '.join(targets)}: name a second one to compare it with.")
    run = beside(out, claims, stored.COMPARISON)
    judged: list[Result] = []

    def kept() -> str | None:
        for result in judged:
            say(f"{short_name(result.hypothesis)}: recovered {result.recovered}")
        return None if out is None else KEPT.format(out)

    with going_on(kept):
        found = run_compare(
            *claims, model=model, rows=rows, draws=draws, seed=seed, exact=exact, **backend,
            controls=controls or "shuffled", out=run, ready=judged.append, cache=cache, stream=stream,
        )  # fmt: skip
    say(headline(found), bold=True)
    say("\n".join(details(found)))
    if picture is not None:
        files.write_text(picture, comparison_svg(found))
        say(f"picture: {picture}")
    if run is not None:
        stored.save(run.folder, stored.COMPARISON, [found.to_dict()], command_line())
    return [found.to_dict()], FINE
