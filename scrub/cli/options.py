"""What commands share: their options, what they print and write, and the claims of their targets."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Generator, Sequence, Set
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scrub.claims.collect import collect
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import ClaimProblems
from scrub.claims.titles import name_of
from scrub.cli.defaults import FILE, taken
from scrub.cli.terminal import shown_on
from scrub.errors import ClaimError, DataError, MetricError, ModelError, path_of
from scrub.storage import files

if TYPE_CHECKING:
    from scrub.storage.directory import Run

# options that say how results are computed, or where they go, and change no number
HOW = {"stream", "memory", "workers", "ray"}
WHERE = HOW | {
    "cache", "out", "recompute", "report", "markdown", "json_file", "table", "picture", "write", "part",
}  # fmt: skip
KEPT = "what was computed is kept in {}: the same command goes on from there"
Command = Callable[..., Any]
Results = list[dict[str, Any]]


class ExistingPath(click.Path):
    """The path of a file or a directory, as `path_of` takes it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return path_of(value, "PATH" if param is None else param.opts[-1] if param.opts[-1][0] == "-" else param.name)


def targeted(command: Command) -> Command:
    return click.argument("targets", nargs=-1, required=True, metavar="TARGETS...")(command)


def named_model(command: Command) -> Command:
    return click.option("--model", metavar="NAME|DIR", help="Use this model instead of the claim's own.")(command)


def on_model(command: Command) -> Command:
    """`--model` and `--stream`, of every command that looks at a model's weights or says what they will take."""
    words = "Run the layers of a directory (config.json, *.safetensors) from its files, one at a time."
    return named_model(click.option("--stream", is_flag=True, help=words)(command))


def on_device(command: Command) -> Command:
    """`--device`, `--dtype` and `--memory`."""
    words = "What may be filled at once beside weights, such as 2GB (default: a quarter of what is free)."
    command = click.option("--memory", metavar="SIZE", help=words)(command)
    words = "float32, float64, bfloat16, float16 (default: the model's own, or float32)."
    command = click.option("--dtype", metavar="NAME", default="auto", help=words)(command)
    words = "Where to compute, such as cpu or cuda (default: where a loaded model lies, else cpu)."
    return click.option("--device", metavar="NAME", help=words)(command)


def spreading(command: Command) -> Command:
    """`--workers`, `--ray` and `--cache` of commands that run blocks."""
    words = "Compute on a Ray cluster: its address, or 'local' (needs the extra 'ray')."
    command = click.option("--ray", metavar="ADDRESS", help=words)(command)
    words = "How many processes of this machine compute, or tasks of --ray at once (there: as many as it has cpus)."
    command = click.option("--workers", default=1, metavar="N", help=words)(command)
    words = "Keep what the model computes on rows here, for other claims and runs (default: below --out)."
    return click.option("--cache", type=ExistingPath(), metavar="DIR", help=words)(command)


def exactly(command: Command) -> Command:
    return click.option("--exact", is_flag=True, help="Enumerate every draw (computation graphs only).")(command)


def controlled(command: Command) -> Command:
    words = (
        "all: also random unclaimed heads and untrained models; none: no shuffled values (default: shuffled values)."
    )
    return click.option("--controls", type=click.Choice(["all", "none"]), help=words)(command)


def revising(command: Command) -> Command:
    """`--worth` and `--write` of commands that make one claim of another."""
    words = "Write the new claim to this file, beside the claim's own."
    command = click.option("--write", type=ExistingPath(), metavar="FILE", help=words)(command)
    words = "What all of it may cost, or each addition must gain, of what is recovered."
    return click.option("--worth", default=0.01, show_default=True, help=words)(command)


def one_file(claims: Sequence[Hypothesis], write: Path | None) -> Sequence[Hypothesis]:
    """The claims. Raises ClaimError where several would be written to one file."""
    if write is not None and len(claims) > 1:
        raise ClaimError(f"--write {write}: {len(claims)} claims and one file: name one, file.py::name.")
    return claims


def sampled(draws: int = 20, words: str = "Draws for each reference row.") -> Callable[[Command], Command]:
    """`--rows`, `--draws` and `--seed`."""

    def of(command: Command) -> Command:
        for option in (
            click.option("--seed", default=0, show_default=True, help="The seed of every draw."),
            click.option("--draws", default=draws, show_default=True, help=words),
            click.option("--rows", type=int, help="A seeded subset of this many reference rows (default: all)."),
        ):
            command = option(command)
        return command

    return of


def number_or_word(read: str) -> str | int:
    """What may be either on the command line, such as a position."""
    return int(read) if read.lstrip("-").isdigit() else read


def running(command: Command) -> Command:
    """What every command takes that runs claims: targets, the model, rows and draws, the device."""
    return targeted(on_model(sampled()(on_device(command))))


def reporting(command: Callable[..., tuple[Results, int]]) -> Command:
    """Add `--json` and `--table` to a command that prints with `say` and returns its results and its exit code."""

    @click.option("--json", "json_file", metavar="FILE", help="Write results as JSON ('-': standard output).")
    @click.option("--table", type=ExistingPath(), metavar="FILE", help="Write them as a table: .md, .tex or .csv.")
    @wraps(command)
    def run(json_file: str | None, table: Path | None, **options: Any) -> None:
        file = None if json_file in (None, "-") else path_of(json_file, "--json")
        if file is not None:
            files.writable(file)
        table_file(table)
        # what a claim's own code prints must not end up among the results
        with redirect_stdout(sys.stderr) if json_file == "-" else nullcontext():
            results, code = command(**options)
            results = of_project(results)
        if own := taken():
            say(f"defaults of {FILE}: {', '.join(f'{name} = {value!r}' for name, value in own.items())}")
        if file is not None:
            files.write_text(file, files.as_json(results))
        elif json_file == "-":
            click.echo(files.as_json(results))
        if table is not None:
            from scrub.report.tables import table_text

            files.write_text(table, table_text(results, table.suffix))
        click.get_current_context().exit(code)

    return run


def table_file(table: Path | None) -> None:
    """Say before a long run that `--table` could not be written. Raises ClaimError."""
    if table is not None:
        from scrub.report.tables import FORMS

        files.writable(table)
        if table.suffix not in FORMS:
            near = table.with_suffix(".md").name
            raise ClaimError(f"--table {table}: a table is written as {', '.join(FORMS)}: call it {near}.")


def of_project(results: Results) -> Results:
    """Results that say among their options which defaults of the project took effect."""
    own = taken()
    if not own:
        return results
    return [r | {"options": r["options"] | {FILE: own}} if "options" in r else r for r in results]


def say(shown: str, **style: Any) -> None:
    """Print for a reader; nothing with `--json -`."""
    if click.get_current_context().params["json_file"] != "-":
        click.secho(shown_on(sys.stdout, shown), **style)


def picture_file(picture: Path | None) -> None:
    """Say before a long run that `--picture` could not be written. Raises ClaimError."""
    if picture is not None:
        from scrub.report.saved import savable

        savable(picture)


@contextmanager
def about(hypothesis: Hypothesis) -> Generator[None]:
    """Errors that show only when a claim is run say which claim it was."""
    try:
        yield
    except (DataError, MetricError, ModelError) as error:
        raise type(error)(f"{name_of(hypothesis)}: {error}") from error


@contextmanager
def going_on(kept: Callable[[], str | None]) -> Generator[None]:
    """Say to whoever breaks off a run what is `kept` of it, which may print what was found so far."""
    try:
        yield
    except KeyboardInterrupt:
        words = kept()
        raise KeyboardInterrupt(*([words] if words else [])) from None


def sound_claims(
    targets: tuple[str, ...], model: str | None, *, expecting: bool = True, foils: bool = True
) -> tuple[Hypothesis, ...]:
    """The claims of the targets. Raises ClaimProblems with all that is wrong with any of them.

    `expecting=False` lets a claim pass that does not yet say what it expects; `foils=False` leaves out the foils
    that are not asked for by name, and raises ClaimError where nothing else is there. With `--stream` what is wrong
    with a directory that is to be run from its files is told with it.
    """
    from scrub.model.resolve import check

    found = [(target, collect([target])) for target in targets]
    claims = [h for target, f in found for h in f.hypotheses if foils or "::" in target or h.foil_reason is None]
    wrong = [p for _, f in found for p in f.problems]
    stream = bool(click.get_current_context().params.get("stream"))
    checked = [check(h, model, stream) for h in claims]
    wrong += [p for c in checked if expecting or c.claim is None for p in c.problems]
    if wrong:
        raise ClaimProblems(wrong)
    if not claims:
        raise ClaimError(f"only foils in {', '.join(targets)}: a foil is judged where it is named, file.py::name.")
    return tuple(claims)


def storing(command: Command) -> Command:
    """`--out` of a command whose results a report shows."""
    words = "Store the result in this directory, for scrub report."
    return click.option("--out", type=ExistingPath(), metavar="DIR", help=words)(command)


def beside(out: Path | None, claims: Sequence[Hypothesis], file: str) -> Run | None:
    """The directory of `--out`, opened for what is found beside a test of these claims and stored as `file`."""
    from scrub.storage.directory import beside_run

    return None if out is None else beside_run(out, [name_of(hypothesis) for hypothesis in claims], file)


def command_line() -> str:
    """The command that runs, with every option that differs from its default; where results go is left out."""
    context = click.get_current_context()
    targets = " ".join(shlex.quote(str(target)) for target in context.params.get("targets", ()))
    return f"scrub {context.info_name}{f' {targets}' if targets else ''}{options()}"


def options(*leaving: str) -> str:
    """The options that numbers depend on, some left out: ` --rows 40 --exact`."""
    return _given(WHERE.union(leaving))


def how() -> str:
    """The options that say how it is computed: ` --stream --memory 2GB`."""
    return _given({str(option.name) for option in click.get_current_context().command.params} - HOW)


def again(*leaving: str) -> str:
    """All options, some left out, of a command that goes on: not --out, whose results it would replace."""
    return _given({"out", *leaving})


def _given(leaving: Set[str]) -> str:
    """The options of the command that runs which differ from their defaults, but for those that are left out."""
    context = click.get_current_context()
    own = context.default_map or {}  # a project's: elsewhere there are others
    found: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        value = context.params.get(name)
        if not isinstance(option, click.Option) or name in leaving:
            continue
        if context.get_parameter_source(name) is ParameterSource.DEFAULT or value is None:
            continue
        if value == option.default and name not in own:
            continue
        if isinstance(value, bool):
            found.append(option.opts[0] if value else (option.secondary_opts or option.opts)[0])
        else:
            found += [f"{option.opts[0]} {shlex.quote(str(one))}" for one in (value if option.multiple else [value])]
    return "".join(f" {given}" for given in found)
