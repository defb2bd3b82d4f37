"""The command line. Every command reads claims, calls one verb of `scrub.run`, and prints what it returns."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from scrub import __version__
from scrub.claims.collect import Collected, collect
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import ClaimProblems, Problem
from scrub.errors import ClaimError, ScrubError
from scrub.report import text
from scrub.run import check as run_check

FINE, FAILED, MISUSE, OPEN, INTERRUPTED = 0, 1, 2, 3, 130
Command = Callable[..., Any]


class _Group(click.Group):
    """Misuse exits with 2 and a sentence, an interruption with 130; neither shows a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ScrubError as error:
            click.echo(f"scrub: {error}" if not isinstance(error, ClaimProblems) else str(error), err=True)
            ctx.exit(MISUSE)
        except KeyboardInterrupt:
            click.echo("scrub: interrupted; nothing was written.", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="scrub")
def main() -> None:
    """Test explanations of neural networks: pytest for circuit claims.

    TARGETS are files, directories of files, file.py::name, or 'file.py::name[variant=False]'.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _targets(command: Command) -> Command:
    return click.argument("targets", nargs=-1, required=True, metavar="TARGETS...")(command)


def _model(command: Command) -> Command:
    return click.option("--model", metavar="NAME|DIR", help="Use this model instead of the claim's own.")(command)


def _json(command: Command) -> Command:
    return click.option("--json", "json_file", metavar="FILE", help="Write results as JSON ('-': standard output).")(command)


def _sampling(command: Command) -> Command:
    for option in (
        click.option("--device", metavar="NAME", help="Where to compute, such as cpu or cuda."),
        click.option("--seed", default=0, show_default=True, help="The seed of every draw."),
        click.option("--draws", default=20, show_default=True, help="Draws for each reference row."),
        click.option("--rows", type=int, help="A seeded subset of this many reference rows (default: all)."),
    ):
        command = option(command)
    return command


@main.command("list")
@_targets
@_json
def list_(targets: tuple[str, ...], json_file: str | None) -> None:
    """List the claims in files, foils with their reasons."""
    found = collect(targets)
    rows = [("claim", "model", "expects", "foil"), *(_listed(h) for h in found.hypotheses)]
    _broken(found)
    _emit("\n".join(text.table(rows)), [_entry(h) for h in found.hypotheses], json_file)
    sys.exit(MISUSE if found.problems else FINE)


def _listed(h: Hypothesis) -> tuple[str, str, str, str]:
    model = h.model if isinstance(h.model, str) else type(h.model).__name__
    return f"{h.file}::{h.name}", model, str(h.expect or "-"), h.foil_reason or ""


def _entry(h: Hypothesis) -> dict[str, Any]:
    name, model, expect, _ = _listed(h)
    return {"hypothesis": name, "model": model, "expect": expect, "foil": h.foil_reason, "variants": dict(h.variants)}


@main.command()
@_targets
@_model
@_json
def check(targets: tuple[str, ...], model: str | None, json_file: str | None) -> None:
    """Find every problem of the claims at once, and how often their stories are right. Runs no model."""
    found = collect(targets)
    checks = [run_check(h, model) for h in found.hypotheses]
    results = [c.to_dict() for c in checks] + [_file_problem(p) for p in found.problems]
    _emit(text.checks_text(checks, found.problems), results, json_file)
    sys.exit(MISUSE if found.problems or any(c.problems for c in checks) else FINE)


def _file_problem(problem: Problem) -> dict[str, Any]:
    shown = {k: getattr(problem, k) for k in ("file", "line", "variable", "found", "nearest", "fix")}
    return {"hypothesis": problem.file, "problems": [shown], "warnings": [], "accuracy": None}


@main.command()
@_targets
@_model
@_json
def show(targets: tuple[str, ...], model: str | None, json_file: str | None) -> None:
    """Draw claims: the unrolled tree beside layers and positions."""
    from scrub.engine.unroll import unroll
    from scrub.report.drawing import show_text
    from scrub.run import sound

    claims = [sound(h, model, expecting=False)[0] for h in _claims(targets)]
    trees = [unroll(claim) for claim in claims]
    drawn = "\n\n".join(show_text(claim, tree) for claim, tree in zip(claims, trees, strict=True))
    results = [{"hypothesis": f"{c.hypothesis.file}::{c.hypothesis.title}", "digest": c.digest,
                "tree": str(tree).splitlines()} for c, tree in zip(claims, trees, strict=True)]  # fmt: skip
    _emit(drawn, results, json_file)


@main.command()
@_targets
@_model
@_sampling
@click.option("--steps", is_flag=True, help="Also print every step of the program.")
@_json
def plan(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, device: str | None,
    steps: bool, json_file: str | None,
) -> None:  # fmt: skip
    """Count what a test would compute and share, and its cost in forward passes. Needs no weights."""
    from scrub.run import plan as run_plan

    plans = [run_plan(h, model, rows, draws, seed) for h in _claims(targets)]
    shown = "\n".join(f"{p}\n{p.program}" if steps else str(p) for p in plans)
    _emit(shown, [p.to_dict() for p in plans], json_file)


@main.command()
@_targets
@_model
@_sampling
@click.option("--exact", is_flag=True, help="Enumerate every draw (computation graphs only).")
@click.option("--out", type=click.Path(path_type=Path), help="Write run.json into this directory.")
@_json
def test(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, device: str | None,
    exact: bool, out: Path | None, json_file: str | None,
) -> None:  # fmt: skip
    """Scrub claims and judge them: exit code 0 when every claim is supported and every foil refuted."""
    from scrub.run import test as run_test
    from scrub.store import save

    _writable(out)
    found = collect(targets)
    checked = [run_check(h, model) for h in found.hypotheses]
    wrong = [p for c in checked for p in c.problems] + list(found.problems)
    if wrong:
        raise ClaimProblems(wrong)
    quiet = json_file == "-"
    results: list[Any] = []
    for hypothesis in found.hypotheses:
        results.append(run_test(hypothesis, model, rows, draws, seed, exact, device=device))
        if not quiet:
            _print_result(results[-1])
    if not quiet:
        click.echo(text.summary(results))
    payload = [r.to_dict() for r in results]
    if out is not None:
        save(out, payload)
    _write_json(payload, json_file)
    sys.exit(_exit_code(results))


def _print_result(result: Any) -> None:
    colour = "green" if result.passed else "red" if result.verdict in ("refuted", "supported") else "yellow"
    click.secho(text.headline(result), fg=colour, bold=True)
    click.echo("\n".join(text.details(result)))


def _exit_code(results: Sequence[Any]) -> int:
    def failed(r: Any) -> bool:
        return r.verdict in ("supported", "inconclusive") if r.foil else r.verdict == "refuted"

    if any(failed(r) for r in results):
        return FAILED
    return FINE if all(r.passed for r in results) else OPEN


@main.command()
@_targets
@_model
@_sampling
@click.option("--row", type=int, help="Explain this row of the data set instead of the worst ones.")
@_json
def explain(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, device: str | None,
    row: int | None, json_file: str | None,
) -> None:  # fmt: skip
    """Show what breaks a claim: every swap alone, all but each, and the rows that suffer most."""
    from scrub.run import explain as run_explain

    found = [run_explain(h, model, rows, draws, seed, row=row, device=device) for h in _claims(targets)]
    _emit("\n\n".join(map(str, found)), [e.to_dict() for e in found], json_file)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--like", default="induction", show_default=True, help="The claim of the gallery to start from.")
@click.option("--model", metavar="DIR", help="Write the claim for this model instead.")
def new(file: Path, like: str, model: str | None) -> None:
    """Write a commented hypothesis file that `scrub check` accepts, a foil included."""
    from scrub.template import write_new

    write_new(file, like, model)
    click.echo(f"wrote {file}. Next: scrub check {file}; scrub show {file}; scrub test {file}")


def _claims(targets: tuple[str, ...]) -> tuple[Hypothesis, ...]:
    found = collect(targets)
    if found.problems:
        raise ClaimProblems(found.problems)
    return found.hypotheses


def _broken(found: Collected) -> None:
    for problem in found.problems:
        click.echo(str(problem), err=True)


def _emit(shown: str, results: list[dict[str, Any]], json_file: str | None) -> None:
    if json_file != "-":
        click.echo(shown)
    _write_json(results, json_file)


def _write_json(results: list[dict[str, Any]], json_file: str | None) -> None:
    if json_file is None:
        return
    from scrub.store import as_json, write_text

    made = as_json(results)
    if json_file == "-":
        click.echo(made)
    else:
        write_text(Path(json_file), made)


def _writable(out: Path | None) -> None:
    """Say before a long run that its result could not be stored."""
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ClaimError(f"--out {out} cannot be written: {error.strerror}.") from None


