"""`scrub show`: claims drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from scrub.claims.resolved import Claim
from scrub.claims.titles import name_of
from scrub.cli.endings import FINE
from scrub.cli.options import (
    ExistingPath,
    Results,
    named_model,
    picture_file,
    reporting,
    say,
    sound_claims,
    targeted,
)
from scrub.errors import ClaimError
from scrub.report.saved import save_picture


@click.command(short_help="Draw claims: tree, layers, positions.")
@targeted
@named_model
@click.option("--picture", type=ExistingPath(), metavar="FILE", help="Draw one claim: .svg, .png or .pdf.")
@reporting
def show(targets: tuple[str, ...], model: str | None, picture: Path | None) -> tuple[Results, int]:
    """Draw claims: the unrolled tree beside layers and positions; with --picture as a paper's figure would."""
    from scrub.engine.unroll import unroll
    from scrub.model.resolve import sound
    from scrub.report.drawing import show_text

    picture_file(picture)
    claims = [sound(h, model, expecting=False)[0] for h in sound_claims(targets, model, expecting=False)]
    trees = [unroll(claim) for claim in claims]
    if picture is not None:
        _draw(claims, picture)
    say("\n\n".join(show_text(claim, tree) for claim, tree in zip(claims, trees, strict=True)))
    return [
        {"hypothesis": name_of(c.hypothesis), "digest": c.digest, "tree": str(tree).splitlines()}
        for c, tree in zip(claims, trees, strict=True)
    ], FINE


def _draw(claims: Sequence[Claim], picture: Path) -> None:
    from scrub.report.figure import claim_svg

    if len(claims) != 1:
        raise ClaimError(f"--picture {picture}: one claim at a time, found {len(claims)}: name it, file.py::name.")
    save_picture(claim_svg(claims[0]), picture)
