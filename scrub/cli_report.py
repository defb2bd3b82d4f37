"""The command of reports: a stored run as one HTML file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from scrub import store
from scrub.claims.hypothesis import Hypothesis
from scrub.cli_options import FINE, Results, reporting, say
from scrub.errors import ClaimError
from scrub.model.resolve import sound

if TYPE_CHECKING:
    from scrub.report.page import Drawn

DRAWINGS, PAGE = "drawings.json", "report.html"


def drawn(hypotheses: Sequence[Hypothesis], model: str | None) -> list[Drawn]:
    """The figures and trees of claims, which a run stores beside its results."""
    from scrub.engine.unroll import unroll
    from scrub.report.figure import claim_svg
    from scrub.report.page import Drawn

    claims = [sound(hypothesis, model)[0] for hypothesis in hypotheses]
    return [Drawn(claim.digest, claim_svg(claim), str(unroll(claim))) for claim in claims]


def save_drawings(out: Path, drawings: Sequence[Drawn]) -> None:
    store.write_text(out / DRAWINGS, json.dumps([asdict(drawing) for drawing in drawings], indent=1))


def write_page(out: Path) -> Path:
    """The page of a stored run. Raises ClaimError for a directory that holds none, or parts of different runs."""
    from scrub.report.page import Drawn, page

    results, raw = _read(out / store.RUN), _read(out / DRAWINGS)
    try:
        drawings = [Drawn(**drawing) for drawing in raw]
        found = results["results"]
        digests = [result["digest"] for result in found]
        if digests != [drawing.digest for drawing in drawings]:
            raise ClaimError(
                f"{out}: {store.RUN} and {DRAWINGS} are of different runs: run `scrub test --out {out}` anew."
            )
        content = page(f"scrub report: {out.resolve().name}", found, drawings)
    except (KeyError, TypeError) as error:
        raise ClaimError(
            f"{out}: {store.RUN} is no run of `scrub test` that this version can read ({error}): run it anew."
        ) from None
    store.write_text(out / PAGE, content.rstrip())
    return out / PAGE


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClaimError(
            f"{file} cannot be read: {error.strerror}. A run is stored by `scrub test FILE --out {file.parent}`."
        ) from None
    except ValueError:
        raise ClaimError(f"{file} is damaged: it holds no JSON. Run `scrub test --out {file.parent}` anew.") from None


@click.command(short_help="Make one HTML file of a stored run.")
@click.argument("run", type=click.Path(path_type=Path))
@reporting
def report(run: Path) -> tuple[Results, int]:
    """Make one HTML file of a run that `scrub test --out RUN` stored. It opens offline and runs no scripts."""
    made = write_page(run)
    say(f"report: {made}")
    return [{"run": str(run), "report": str(made)}], FINE
