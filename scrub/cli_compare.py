"""The command that compares rival claims: what `scrub compare` prints is what `scrub.compare` returns."""

from __future__ import annotations

from pathlib import Path

import click

from scrub import store
from scrub.cli_options import (
    FINE,
    Place,
    Results,
    beside,
    command_line,
    controlled,
    exactly,
    on_device,
    on_model,
    reporting,
    sampled,
    say,
    sound_claims,
    storing,
    svg_file,
    targeted,
)
from scrub.errors import ClaimError
from scrub.runs import stored


@click.command(short_help="Say which of rival claims explains more.")
@targeted
@on_model
@sampled
@on_device
@exactly
@controlled
@click.option("--picture", type=Place(), metavar="FILE.svg", help="Write share against bits as a picture.")
@storing
@reporting
def compare(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, device: str | None,
    exact: bool, controls: str | None, picture: Path | None, out: Path | None,
) -> tuple[Results, int]:  # fmt: skip
    """Compare all claims of the targets, foils too: same model, rows, seed and draws, paired by row.

    Name two claims or more, file.py::name each, or a file that holds them. Each is judged as scrub test does, its
    controls included; claims need no expectation to be compared, and the exit code is 0 whoever is better.
    """
    from scrub.comparing import compare as run_compare
    from scrub.report.comparison import details, headline
    from scrub.report.pareto import comparison_svg

    svg_file(picture)
    claims = sound_claims(targets, model, expecting=False)
    if len(claims) < 2:
        raise ClaimError(f"only one claim in {', '.join(targets)}: name a second one to compare it with.")
    run = beside(out, claims, stored.COMPARISON)
    found = run_compare(
        *claims, model=model, rows=rows, draws=draws, seed=seed, exact=exact, device=device,
        controls=controls or "shuffled", out=run,
    )  # fmt: skip
    say(headline(found), bold=True)
    say("\n".join(details(found)))
    if picture is not None:
        store.write_text(picture, comparison_svg(found))
        say(f"picture: {picture}")
    if run is not None:
        stored.save(run.folder, stored.COMPARISON, [found.to_dict()], command_line())
    return [found.to_dict()], FINE
