"""The command line. Every command reads claims, calls one verb of `scrub.verbs.test`, and prints what it returns.

Misuse and wrong files exit with 2 and a sentence, never a traceback. `list` and `check` tell of wrong files among
their results; the other commands run nothing while something is wrong: problems go to standard error, and no
JSON is written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from scrub import __version__
from scrub.claims.check import name_of
from scrub.claims.collect import collect
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import ClaimProblems, Problem
from scrub.claims.resolved import Claim
from scrub.cli.compare import compare
from scrub.cli.criteria import criteria
from scrub.cli.endings import FAILED, FINE, INTERRUPTED, MISUSE, OPEN, Ended
from scrub.cli.freeze import diff, freeze
from scrub.cli.options import (
    KEPT,
    Place,
    Results,
    about,
    controlled,
    exactly,
    going_on,
    on_device,
    on_model,
    options,
    reporting,
    sampled,
    say,
    sound_claims,
    svg_file,
    targeted,
)
from scrub.cli.propose import propose
from scrub.cli.report import report
from scrub.cli.terminal import tell
from scrub.errors import ClaimError, ScrubError, escaped
from scrub.model.resolve import check as run_check
from scrub.report import text
from scrub.report.markdown import markdown_text
from scrub.storage import files
from scrub.verbs.report import save_run, write_page


class _Group(Ended):
    """Misuse exits with 2 and a sentence, an interruption with 130; neither shows a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClaimProblems as error:
            said, code = str(error), MISUSE
        except ScrubError as error:
            said, code = f"scrub: {error}", MISUSE
        except SystemExit as error:  # not ours: click's own commands end otherwise. A 0 would read as a pass
            said, code = f"scrub: the code of a claim called sys.exit({error.code!r}).", MISUSE
        except KeyboardInterrupt as error:
            said, code = f"scrub: interrupted; {str(error) or 'no results were written'}.", INTERRUPTED
        tell(said)
        raise click.exceptions.Exit(code)


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group("scrub", cls=_Group, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="scrub")
def main() -> None:
    """Test explanations of neural networks: pytest for circuit claims.

    TARGETS are files, directories of files, file.py::name, 'file.py::name[variant=False]', or frozen claims.

    Every command runs the files it is given, list and check too: look into a file of someone else's before. Of a
    directory those that import scrub are run. A frozen claim (a directory with a claim.json) runs nothing.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows no ✓ shows a ?
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


@main.command("list", short_help="List the claims in files.")
@targeted
@reporting
def list_(targets: tuple[str, ...]) -> tuple[Results, int]:
    """List the claims in files, foils with their reasons.

    Runs the files: of a directory those that import scrub, but none that is hidden, nor of an environment or a cache.
    A frozen claim runs nothing.
    """
    found = collect(targets)
    entries = [*map(_entry, found.hypotheses), *map(_broken, found.problems)]
    for problem in found.problems:
        tell(str(problem))
    if found.hypotheses:
        rows = [(*(str(e[k] or "-") for k in ("hypothesis", "model", "expect")), e["foil"] or "") for e in entries]
        say("\n".join(text.table([("claim", "model", "expects", "foil"), *rows])))
    return entries, MISUSE if found.problems else FINE


def _entry(h: Hypothesis) -> dict[str, Any]:
    model = h.model if isinstance(h.model, str) else getattr(h.model, "__name__", type(h.model).__name__)
    expect = h.expect.share if h.expect else None
    return {
        "hypothesis": name_of(h), "model": model, "expect": expect, "foil": h.foil_reason,
        "variants": h.variants, "problems": [],
    }  # fmt: skip


def _broken(problem: Problem) -> dict[str, Any]:
    found = {"hypothesis": problem.file, "problems": [_told(problem)]}
    return found | {"model": None, "expect": None, "foil": None, "variants": {}}


@main.command(short_help="Find every problem of the claims at once.")
@targeted
@on_model
@reporting
def check(targets: tuple[str, ...], model: str | None) -> tuple[Results, int]:
    """Find every problem of the claims at once, and how often their stories are right.

    Runs no model, but the files of the claims; a frozen claim alone runs nothing.
    """
    found = collect(targets)
    checks = [run_check(h, model) for h in found.hypotheses]
    say(text.checks_text(checks, found.problems))
    files = [{"hypothesis": p.file, "problems": [_told(p)], "warnings": [], "accuracy": None} for p in found.problems]
    wrong = found.problems or any(c.problems for c in checks)
    return [c.to_dict() for c in checks] + files, MISUSE if wrong else FINE


def _told(problem: Problem) -> dict[str, Any]:
    return {k: getattr(problem, k) for k in ("file", "line", "variable", "found", "nearest", "fix")}


@main.command(short_help="Draw claims: tree, layers, positions.")
@targeted
@on_model
@click.option("--picture", type=Place(), metavar="FILE", help="Draw one claim as an SVG picture.")
@reporting
def show(targets: tuple[str, ...], model: str | None, picture: Path | None) -> tuple[Results, int]:
    """Draw claims: the unrolled tree beside layers and positions; with --picture as a paper's figure would."""
    from scrub.engine.unroll import unroll
    from scrub.model.resolve import sound
    from scrub.report.drawing import show_text

    svg_file(picture)
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
    files.write_text(picture, claim_svg(claims[0]).rstrip())


@main.command(short_help="Count what a test would cost.")
@targeted
@on_model
@sampled
@click.option("--steps", is_flag=True, help="Also print every step of the program.")
@reporting
def plan(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, steps: bool
) -> tuple[Results, int]:
    """Count what a test would compute and share, and its cost in forward passes. Needs no weights."""
    from scrub.verbs.plan import plan as run_plan

    plans = [run_plan(h, model, rows, draws, seed) for h in sound_claims(targets, model, expecting=False)]
    say("\n".join(f"{p}\n{p.program}" if steps else str(p) for p in plans))
    return [p.to_dict() for p in plans], FINE


@main.command(short_help="Scrub claims and judge them.")
@targeted
@on_model
@sampled
@on_device
@exactly
@controlled
@click.option(
    "--explain/--no-explain",
    default=None,
    help="Look for what breaks refuted foils too, or none (default: refuted claims, for the cost of the test).",
)
@click.option("--out", type=Place(), help="Keep the run here; again, it goes on.")
@click.option("--recompute", is_flag=True, help="Compute damaged blocks of --out anew.")
@click.option("--report", is_flag=True, help="Also make an HTML page of the run (with --out).")
@click.option("--markdown", type=Place(), metavar="FILE", help="Write a table for a CI page.")
@reporting
def test(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, device: str | None,
    exact: bool, controls: str | None, explain: bool | None, out: Path | None, recompute: bool, report: bool,
    markdown: Path | None,
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
    for hypothesis in claims:
        with about(hypothesis), going_on(lambda: out and KEPT.format(out)):
            result = run_test(
                hypothesis, model, rows, draws, seed, exact, device=device, explain=explain,
                controls=controls or "shuffled", out=run,
            )  # fmt: skip
        colour = "green" if result.passed else "red" if _failed(result) else "yellow"
        say(text.headline(result), fg=colour, bold=True)
        say("\n".join(text.details(result, legend=not results)))  # explained once
        results.append(result)
    say(text.summary(results))
    if markdown is not None:
        files.write_text(markdown, markdown_text(results))
    found = [result.to_dict() for result in results]
    if run is not None:
        save_run(run.folder, run.claims, found, options())
        run.finish()
        say(str(run))
    if out is not None and report:
        say(f"report: {write_page(out)}")
    return found, _exit_code(results)


def _failed(result: Any) -> bool:
    """A claim fails when it is refuted, a foil when it might be true."""
    return result.verdict in (("supported", "inconclusive") if result.foil else ("refuted",))


def _exit_code(results: Sequence[Any]) -> int:
    if any(map(_failed, results)):
        return FAILED
    return FINE if all(r.passed for r in results) else OPEN


@main.command(short_help="Show what breaks a claim.")
@targeted
@on_model
@sampled
@on_device
@click.option("--row", type=int, help="Explain this row of the data set instead of the worst ones.")
@reporting
def explain(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, device: str | None,
    row: int | None,
) -> tuple[Results, int]:  # fmt: skip
    """Show what breaks a claim: every swap alone, all but each, and the rows that suffer most."""
    from scrub.verbs.explain import explain as run_explain

    claims = sound_claims(targets, model)
    found: list[Any] = []
    for hypothesis in claims:
        so_far: list[Any] = []
        with about(hypothesis), going_on(partial(_broken_off, so_far)):
            found.append(
                run_explain(hypothesis, model, rows, draws, seed, row=row, device=device, ready=so_far.append)
            )
        say(f"{'' if len(found) == 1 else chr(10)}{found[-1]}")
    return [e.to_dict() for e in found], FINE


def _broken_off(so_far: Sequence[Any]) -> None:
    """Print the last that was heard of an explanation."""
    for explanation in so_far[-1:]:
        say(str(explanation))


@main.command(short_help="Write a hypothesis file to start from.")
@click.argument("file", type=Place())
@click.option("--like", default="induction", show_default=True, help="The claim of the gallery to start from.")
@click.option("--model", metavar="DIR", help="Write the claim for this model instead.")
def new(file: Path, like: str, model: str | None) -> None:
    """Write a commented hypothesis file that `scrub check` accepts, a foil included."""
    from scrub.verbs.new import write_new

    write_new(file, like, model)
    click.echo(escaped(f"wrote {file}. Next: scrub check {file}; scrub show {file}; scrub test {file}"))


main.add_command(compare)
main.add_command(criteria)
main.add_command(propose)
main.add_command(freeze)
main.add_command(diff)
main.add_command(report)
