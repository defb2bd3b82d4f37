"""The commands of circuits: what `scrub criteria` prints is what `scrub.criteria` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os.path import isdir  # a name that is too long is none
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define

from scrub.claims.protocol import DIRECTIONS, LEVELS, UPSTREAMS
from scrub.claims.wording import ABLATIONS
from scrub.cli.endings import FINE
from scrub.cli.options import (
    Command,
    Results,
    about,
    beside,
    command_line,
    going_on,
    on_device,
    on_model,
    reporting,
    say,
    sound_claims,
    spreading,
    storing,
    targeted,
)
from scrub.errors import ClaimError, is_file
from scrub.storage import stored

if TYPE_CHECKING:
    from scrub.circuit.circuit import Circuit
    from scrub.circuit.criteria import Criteria
    from scrub.claims.hypothesis import Hypothesis
    from scrub.storage.directory import Run

_FILES = (".json", ".jsonl", ".txt", ".pt", ".pth", ".pkl")


def _protocol(command: Command) -> Command:
    """Words of the protocol; what is not given is the claim's own `criteria=protocol(...)`."""
    for option in (
        _column("--pair", "Column that names each row's partner (for --ablation paired)."),
        _column("--group", "Column within which ablated values are taken."),
        _column("--reference", "Boolean column of the rows that ablated values come from."),
        click.option("--through", metavar="NAMES", help="Components never ablated, such as 'mlps' ('': none)."),
        click.option(
            "--upstream", type=click.Choice(UPSTREAMS), help="What feeds the claim's leaves: ablated too, or kept."
        ),
        click.option("--level", type=click.Choice(LEVELS), help="Judge the components, or the edges."),
        click.option(
            "--direction", type=click.Choice(DIRECTIONS), help="Ablate what is outside, or restore the circuit."
        ),
        click.option("--ablation", type=click.Choice(ABLATIONS.names()), help="What stands outside the circuit."),
    ):
        command = option(command)
    return command


def _column(name: str, words: str) -> Callable[[Command], Command]:
    return click.option(name, metavar="COLUMN", help=words)


def _sampled(command: Command) -> Command:
    for option in (
        click.option("--no-tests", is_flag=True, help="Leave out the tests of the whole circuit."),
        click.option("--budget", type=int, help="Parts that the greedy search for the worst set may try."),
        click.option(
            "--stop", type=int, help="Random ones as good that end a comparison; 0: all are run (default: decided)."
        ),
        click.option(
            "--random", default=100, show_default=True, help="Random circuits and parts beside it; 0: none."
        ),
        click.option("--seed", default=0, show_default=True, help="The seed of every draw."),
        click.option("--draws", type=int, help="Draws for each row (--ablation resample alone; default: 5)."),
        click.option("--rows", type=int, help="A seeded subset of this many rows (default: all)."),
    ):
        command = option(command)
    return command


@click.command(short_help="Judge circuits: faithful, complete, minimal?")
@targeted
@_protocol
@click.option("--ranking", metavar="FILE", help="Of a FILE of scores, CPR and CMD at MIB's sizes; no criteria.")
@click.option("--top", type=int, metavar="K", help="Of a --circuit FILE of scores, the K parts of the largest.")
@click.option("--circuit", metavar="FILE|NAMES", help="Judge this circuit in the claim's setting: '9.6 9.9, mlp 0'.")
@_sampled
@on_model
@on_device
@spreading
@storing
@reporting
def criteria(
    targets: tuple[str, ...], circuit: str | None, top: int | None, ranking: str | None, model: str | None,
    device: str | None, dtype: str, memory: str | None, rows: int | None, draws: int | None, seed: int, random: int,
    stop: int | None, budget: int | None, no_tests: bool, out: Path | None, cache: Path | None, workers: int,
    ray: str | None, stream: bool, **protocol: str | None,
) -> tuple[Results, int]:  # fmt: skip
    """Judge the circuits of claims: faithfulness, completeness, minimality, and tests with p-values.

    What is not given here is as the claim says with criteria=protocol(...), else mean ablation by noising. Foils
    are judged only where they are named: file.py::name. No verdict is given, so that the exit code is 0.
    """
    from scrub.circuit.arguments import counted
    from scrub.verbs.criteria import criteria as judge

    counted("--{} {!r}", rows=rows, draws=draws, seed=seed, random=random, budget=budget, stop=stop)
    if top is not None and circuit is None:
        raise ClaimError(f"--top {top}: say of which file of scores, --circuit FILE.")
    where = {"cache": cache, "workers": workers, "ray": ray, "stream": stream}
    backend: dict[str, Any] = {"device": device, "dtype": dtype, "memory": memory, **where}
    given: dict[str, Any] = {name: value for name, value in protocol.items() if value is not None}
    if ranking is not None:
        if circuit is not None or out is not None:
            raise ClaimError(
                "--ranking: it is run by itself, at every size, and nothing is kept: leave out --circuit and --out."
            )
        asked = {"model": model, "rows": rows, "draws": draws, "seed": seed, **backend}
        return _areas(sound_claims(targets, model, expecting=False, foils=False), ranking, asked | given)
    chosen = None if circuit is None else _circuit(circuit, top)
    if chosen is not None:  # what is named says how it is run, unless the command line says otherwise
        given.setdefault("level", _level(chosen))
    found: Results = []
    claims = sound_claims(targets, model, expecting=False, foils=False)
    run = beside(out, claims, stored.CRITERIA)
    for hypothesis in claims:
        ready = _Ready(found, run)
        with about(hypothesis), going_on(ready.kept):
            result = judge(
                hypothesis, model, chosen, rows, seed, draws=draws, random=random, budget=budget, stop=stop,
                tests=not no_tests, out=run, **backend, ready=ready, **given,
            )  # fmt: skip
        found.append(result.to_dict())
    return found, FINE


def _areas(claims: Sequence[Hypothesis], ranking: str, asked: dict[str, Any]) -> tuple[Results, int]:
    """CPR and CMD of a ranking in the setting of every claim."""
    from scrub.verbs.cpr_cmd import cpr_cmd

    found: Results = []
    for hypothesis in claims:
        with about(hypothesis):
            result = cpr_cmd(ranking, hypothesis, **asked)
        say(f"{hypothesis.title}: {ranking}", bold=True)
        say(str(result))
        found.append(result.to_dict())
    return found, FINE


@define
class _Ready:
    """Prints each criterion of a circuit as it comes, and stores it beside what was `found` of other circuits."""

    found: Results
    run: Run | None
    shown: int = 0

    def __call__(self, so_far: Criteria) -> None:
        from scrub.report.criteria import details, headline

        lines = details(so_far)
        if not self.shown:
            say(headline(so_far), bold=True)
        say("\n".join(lines[self.shown :]))
        self.shown = len(lines)
        if self.run is not None:
            stored.save(self.run.folder, stored.CRITERIA, [*self.found, so_far.to_dict()], command_line())

    def kept(self) -> str | None:
        if self.run is None or not (self.shown or self.found):
            return None
        return f"the criteria above are kept in {self.run.folder}: the same command goes on from there"


def _circuit(given: str, top: int | None) -> Circuit | str:
    """The circuit in a file; names are left as they are, to be read with the model's own names at hand."""
    from scrub.circuit.circuit import Circuit

    if is_file(given):
        return Circuit.read(given, top=top)
    if top is not None:
        raise ClaimError(f"--top {top}: {given} is no file of scores.")
    if isdir(given):
        raise ClaimError(f"--circuit {given} is a directory: name the file of a circuit in it, or parts.")
    if Path(given).suffix in _FILES:
        raise ClaimError(f"--circuit {given}: no such file, and no name of a part.")
    return given


def _level(circuit: Circuit | str) -> str:
    if isinstance(circuit, str):
        return "edges" if "->" in circuit else "components"
    return circuit.level
