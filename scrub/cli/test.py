"""`scrub test`: scrub claims and judge them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scrub.claims.titles import name_of
from scrub.cli.endings import FAILED, FINE, OPEN
from scrub.cli.options import (
    KEPT,
    ExistingPath,
    Results,
    about,
    controlled,
    exactly,
    going_on,
    of_project,
    options,
    reporting,
    running,
    say,
    sound_claims,
    spreading,
)
from scrub.cli.parting import as_part, parting, until_others
from scrub.errors import ClaimError
from scrub.report import text
from scrub.report.markdown import markdown_text
from scrub.storage import files
from scrub.verbs.report import save_run, write_page


@click.command(short_help="Scrub claims and judge them.")
@running
@spreading
@exactly
@controlled
@click.option(
    "--parts",
    type=click.Choice(["all", "none"]),
    default="all",
    show_default=True,
    help="What each part of a claim earns: the claim without each, on a few of the draws.",
)
@click.option(
    "--explain/--no-explain",
    default=None,
    help="Look for what breaks refuted foils too, or none (default: refuted claims, for the cost of the test).",
)
@click.option(
    "--stability", is_flag=True, help="Also ask with other seeds, halves of the data and rests: some ten tests' cost."
)
@click.option("--skills", is_flag=True, help="Also find the circuit of each sub-skill, judged on the rows of all.")
@click.option("--out", type=ExistingPath(), help="Keep the run here; again, it goes on.")
@parting
@click.option("--recompute", is_flag=True, help="Compute damaged blocks of --out anew.")
@click.option("--report", is_flag=True, help="Also make an HTML page of the run (with --out).")
@click.option("--markdown", type=ExistingPath(), metavar="FILE", help="Write a table for a CI page.")
@reporting
def test(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int,
    exact: bool, controls: str | None, parts: str, explain: bool | None, stability: bool,
    skills: bool, out: Path | None, recompute: bool, report: bool, markdown: Path | None, cache: Path | None,
    part: str | None, stream: bool, **backend: Any,
) -> tuple[Results, int]:  # fmt: skip
    """Scrub claims and judge them: exit code 0 when every claim is supported and every foil refuted."""
    from scrub.storage.directory import open_run
    from scrub.verbs.test import test as run_test

    for option, given in (("--report", report), ("--recompute", recompute)):
        if given and out is None:
            raise ClaimError(f"{option} is about a run that is kept: say where, --out DIR.")
    if markdown is not None:
        files.writable(markdown)
    results: list[Any] = []
    claims = sound_claims(targets, model)
    run = open_run(out, [name_of(hypothesis) for hypothesis in claims], recompute) if out is not None else None
    with as_part(run, part, claims) as run:
        for hypothesis in claims:
            with about(hypothesis), going_on(lambda: out and KEPT.format(out)), until_others(hypothesis.title):
                result = run_test(
                    hypothesis, model, rows, draws, seed, exact, **backend,
                    explain=explain, controls=controls or "shuffled", parts=parts, stability=stability, skills=skills,
                    out=run, cache=cache, stream=stream,
                )  # fmt: skip
                _shown(result, legend=not results)  # explained once
                results.append(result)
    if part is not None and len(results) < len(claims):
        return [], FINE
    say(text.summary(results))
    if markdown is not None:
        files.write_text(markdown, markdown_text(results))
    found = of_project([result.to_dict() for result in results])
    if run is not None:
        save_run(run.folder, run.claims, found, options())
        run.finish()
        say(str(run))
    if out is not None and report:
        say(f"report: {write_page(out)}")
    return found, _exit_code(results)


def _shown(result: Any, legend: bool) -> None:
    colour = "green" if result.passed else "red" if _failed(result) else "yellow"
    say(text.headline(result), fg=colour, bold=True)
    say("\n".join(text.details(result, legend=legend)))


def _failed(result: Any) -> bool:
    """A claim fails when it is refuted, a foil when it might be true."""
    return result.verdict in (("supported", "inconclusive") if result.foil else ("refuted",))


def _exit_code(results: Sequence[Any]) -> int:
    if any(map(_failed, results)):
        return FAILED
    return FINE if all(r.passed for r in results) else OPEN
