"""Commands that are broken off: what is shown, what is kept, and what is said of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cli_cases import FOIL, GOOD, Write, scrub, write
from scrub.circuit.bench import CircuitBench

__all__ = ["write"]
INTERRUPTED = "c = make(metric=Metric(lambda o, r: os.kill(os.getpid(), signal.SIGINT)))"


def test_an_interrupted_run_leaves_nothing_but_what_is_kept(write: Write) -> None:
    file = write(f"good = make()\n{INTERRUPTED}")
    line = [sys.executable, "-m", "scrub", "test", str(file), "--json", "results.json"]
    before = set(Path().iterdir())
    found = subprocess.run(line, capture_output=True, text=True, check=False)
    assert found.returncode == 130
    assert found.stderr.strip() == "scrub: interrupted; no results were written."
    assert {p for p in Path().iterdir() if p.name != "__pycache__"} == before
    kept = scrub(*line[3:], "--out", "runs")
    assert kept.exit_code == 130
    told = "scrub: interrupted; what was computed is kept in runs: the same command goes on from there."
    assert kept.stderr.strip() == told
    assert {path.name for path in Path("runs").iterdir()} == {"kept.json", "blocks"}
    assert not Path("results.json").exists()


WHEN = {  # what sends the signal, at which moment of `scrub check`; what is said, the code, whether results are shown
    "click is imported": ("at_import('click')", "interrupted; no results were written", 130, False),
    "its errors are passed over": (
        "at_import('scrub.cli.group', 'try: die()\\nexcept BaseException: pass')",
        "interrupted; no results were written",
        130,
        False,
    ),
    "its command is imported": ("at_import('scrub.cli.check')", "interrupted; no results were written", 130, False),
    "output is flushed": ("sys.stdout = Pipe()", "interrupted; what was printed may not be whole", 130, True),
    "Python ends": ("atexit.register(die)", "", 0, True),
}
DIES = """
import atexit, importlib.abc, io, os, signal, sys

def die():
    os.kill(os.getpid(), signal.SIGINT)

class At(importlib.abc.MetaPathFinder):
    def __init__(self, name, does):
        self.name, self.does = name, does

    def find_spec(self, name, path, target=None):
        if name == self.name:
            exec(self.does, globals())

class Pipe(io.StringIO):
    def write(self, text):
        return sys.__stdout__.write(text)

    def flush(self):
        if sys._getframe(1).f_code.co_name == "_dropped":
            die()

def at_import(name, does="die()"):
    sys.meta_path.insert(0, At(name, does))

{}
from scrub.cli import main
main()
"""


@pytest.mark.parametrize("when", WHEN)
def test_an_interruption_as_a_command_starts_or_ends(write: Write, when: str) -> None:
    """Whatever is imported meanwhile; and once results are written it changes nothing."""
    sends, said, code, shown = WHEN[when]
    line = [sys.executable, "-c", DIES.replace("{}", sends), "check", str(write(GOOD))]
    found = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (found.stderr, found.returncode) == (f"scrub: {said}.\n" if said else "", code)
    assert bool(found.stdout) == shown


INDUCTION = Path(__file__).parents[2] / "hypotheses" / "induction.py"
BROKEN_OFF = {  # what is interrupted, at which of its calls; what is shown then; what is said to be kept
    "explain": ("scrub.score.explain._more", 3, ["good  recovered 1.00", "Broken off: 2 more swaps"], ""),
    "compare": ("scrub.verbs.compare.judged", 2, ["good: recovered 1.00"], "what was computed is kept in kept"),
    "propose": (
        "scrub.proposals.search.bound_rest",
        1,
        ["caution: broken off after"],
        "the proposals above are kept",
    ),
}


@pytest.mark.parametrize("command", BROKEN_OFF)
def test_what_was_found_before_an_interruption_is_shown(
    write: Write, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """And nothing is said to be kept that is not."""
    name, at, shown, kept = BROKEN_OFF[command]
    module, function = name.rsplit(".", 1)
    original, calls = getattr(import_module(module), function), list[int]()

    def interrupted(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(*given, **named)

    monkeypatch.setattr(name, interrupted)
    file = f"{INDUCTION}::induction" if command == "propose" else write(f"{GOOD}\n{FOIL}")
    found = scrub(command, file, "--rows", 32, *(["--out", "kept"] if kept else []))
    assert found.exit_code == 130
    for line in shown:
        assert line in found.stdout
    assert found.stderr.startswith(f"scrub: interrupted; {kept or 'no results were written.'}")
    assert "no results" not in found.stderr or not kept
    if command == "propose":
        assert Path("kept/proposals.json").exists()


DYING = """
def dying():
    made = graph()
    made.nodes["h"]["function"] = lambda a: os.kill(os.getpid(), signal.SIGINT) or 0
    return made

last = make(model=dying)
"""
VERBS: dict[str, list[str]] = {
    "interchange": ["--memory", "1GB", "--cache", "rows"],
    "power": ["--json", "power.json"], "sweep": ["--senders", "all"], "patch": ["--path", "h -> out"],
    "shrink": ["--draws", "2"],
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_claims_before_an_interruption_stay_and_those_left_are_named(write: Write, verb: str) -> None:
    """By a signal to another process once, to this one else; what was found is printed, and stored with --out."""
    file, keeps = write(f"{GOOD}\n{DYING}"), verb != "shrink"
    line = [verb, str(file), *VERBS[verb], *(["--out", "kept"] if keeps else [])]
    if verb == "interchange":
        run = subprocess.run([sys.executable, "-m", "scrub", *line], capture_output=True, text=True, check=False)
        code, out, said = run.returncode, run.stdout, run.stderr
    else:
        found = scrub(*line)
        code, out, said = found.exit_code, found.stdout, found.stderr
    assert code == 130, said
    assert out.strip()
    where = " and in kept" if keeps else ""
    assert said.strip() == (
        f"scrub: interrupted; 1 of 2 claims stand above{where}; last was not finished: go on with "
        f"`scrub {verb} claims.py::last{''.join(f' {shlex.quote(one)}' for one in VERBS[verb])}`."
    )
    if keeps:
        (kept,) = {path for path in Path("kept").iterdir()} - {Path("kept/kept.json")}
        assert [r["hypothesis"] for r in json.loads(kept.read_text())["results"]] == ["claims.py::good"]


def test_a_sweep_that_is_broken_off_keeps_the_senders_that_were_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says to go on with patches the others, and no sender twice."""
    monkeypatch.chdir(INDUCTION.parents[1])
    scores, calls = CircuitBench.scores, list[int]()

    def interrupted(bench: CircuitBench, circuits: Sequence[Any], without: bool = False) -> Any:
        calls.append(len(circuits))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return scores(bench, circuits, without)

    whole = _swept("sweep", INDUCTION, "--rows", 32, "--senders", "heads 0-1")
    monkeypatch.setattr("scrub.circuit.sweep.TOGETHER", 3)
    monkeypatch.setattr(CircuitBench, "scores", interrupted)
    broken = scrub("sweep", f"{INDUCTION}::induction", "--rows", 32, "--senders", "heads 0-1")
    assert (broken.exit_code, calls) == (130, [3, 3, 2])
    assert "broken off  not patched: 1.2, 1.3" in broken.stdout
    assert all(re.search(rf"^ +{re.escape(name)} +[+-]", broken.stdout, re.M) for name in ("0.0", "1.1"))
    again = re.fullmatch(
        r"scrub: interrupted; what was found stands above: go on with `scrub (.*)`.", broken.stderr.strip()
    )
    assert again
    monkeypatch.setattr(CircuitBench, "scores", scores)
    rest = _swept(*shlex.split(again[1]))
    assert rest == whole[6:]


def _swept(*words: Any) -> list[Any]:
    (found,) = json.loads(scrub(*words, "--json", "-").stdout)["results"]
    return [(e["sender"], pytest.approx(e["effect"], abs=1e-6)) for e in found["effects"]]


def test_an_interrupted_write_leaves_the_old_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(GOOD)
    Path("old.json").write_text("old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    assert scrub("check", file, "--json", "old.json").exit_code == 130
    assert Path("old.json").read_text() == "old"
    assert {p.name for p in Path().iterdir()} - {"__pycache__"} == {"old.json", "claims.py"}


def test_no_progress_bar_where_nobody_watches(write: Write) -> None:
    slow = write("import time\nc = make(metric=Metric(lambda o, r: time.sleep(0.003) or right(o, r)))")
    found = scrub("test", slow, "--rows", 32, "--draws", 12)
    assert (found.exit_code, found.stderr) == (0, "")
