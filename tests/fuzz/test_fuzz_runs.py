"""Run directories that were changed: refused, or the same numbers as before; a page of them, or a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

import scrub as package
from fuzz.fuzz_claims import good, written
from fuzz.fuzzing import as_json, changed, counted, damaged, limited, ran, runs
from scrub.claims.collect import collect
from scrub.errors import ScrubError
from scrub.storage.blocks import read_arrays, write_arrays

SETTING: dict[str, Any] = {"draws": 2, "seed": 0, "controls": "none"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A directory with everything that commands store there, and the claim that it is of."""
    folder = tmp_path_factory.mktemp("runs")
    own, run = good(folder), folder / "run"
    package.test(own, out=run, **SETTING)
    two = [f"{written(folder)}::{name}" for name in ("good", "other")]
    few = ("--draws", 2, "--out", run)
    assert ran("", "compare", *two, *few).exit_code == 0
    assert (
        ran("", "criteria", two[0], "--random", 2, "--no-tests", "--ablation", "resample", "--out", run).exit_code
        == 0
    )
    assert ran("", "propose", two[0], "--method", "exact", "--pair", "a", "--out", run).exit_code == 0
    assert ran("", "report", run).exit_code == 0
    return run, collect([two[0]]).hypotheses[0]


def numbers(hypothesis: Any, run: Path) -> dict[str, Any]:
    found = package.test(hypothesis, out=run, **SETTING).to_dict()
    return {name: part for name, part in found.items() if name != "since"}


def mutated(rng: Random, run: Path) -> None:
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.suffix != ".html")
    file = rng.choice(files)
    if file.suffix == ".safetensors" and rng.random() < 0.3:
        reworded(rng, file)
    elif file.suffix == ".json" and rng.random() < 0.7:
        file.write_text(as_json(changed(rng, json.loads(file.read_text())), rng))
    elif rng.random() < 0.2:
        file.write_bytes(rng.choice(files).read_bytes())
    else:
        file.write_bytes(damaged(rng, file.read_bytes()))


def reworded(rng: Random, file: Path) -> None:
    """Words of a record, with the digest of a file that is whole."""
    arrays, words = read_arrays(file)
    for name in words if "result" in words else ():
        if name != "depends":
            words[name] = json.dumps(changed(rng, json.loads(words[name])))
    write_arrays(file, arrays, words)


@runs(30)
def test_run_directories(kept: tuple[Path, Any], tmp_path: Path, cases: int) -> None:
    run, hypothesis = kept
    known = numbers(hypothesis, Path(shutil.copytree(run, tmp_path / "whole")))

    def case(name: str, rng: Random) -> str:
        folder = Path(shutil.copytree(run, tmp_path / "run"))
        try:
            mutated(rng, folder)
            with limited():
                try:
                    told = numbers(hypothesis, folder)
                except ScrubError as error:
                    return "refused" if str(error) else "refused without a word"
            assert told == known, name
            return "the same"
        finally:
            shutil.rmtree(folder)

    ends = counted("run directories", cases, case)
    assert set(ends) <= {"refused", "the same"}


@runs(15)
def test_pages_of_run_directories(kept: tuple[Path, Any], tmp_path: Path, cases: int) -> None:
    """A page of a changed directory is that of the one that was not, or there is none."""
    known = (kept[0] / "report.html").read_text()

    def case(name: str, rng: Random) -> str:
        folder = Path(shutil.copytree(kept[0], tmp_path / "run"))
        try:
            mutated(rng, folder)
            end = ran(name, "report", folder).exit_code
            if end == 0:
                assert (folder / "report.html").read_text() == known, name
            return f"exit {end}"
        finally:
            shutil.rmtree(folder)

    counted("pages of run directories", cases, case)
