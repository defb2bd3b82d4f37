"""Frozen claims that were changed: refused, or the same number, or another digest."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

import scrub as package
from fuzz.fuzz_claims import good
from fuzz.fuzzing import as_json, changed, counted, damaged, limited, ran, runs
from scrub.claims import thaw
from scrub.errors import ScrubError

NAMES = ("claim.json", "rows.jsonl", "values.json", "claim.txt")
UNSAID = ("hypothesis", "provenance", "foil", "passed")  # of which the digest says nothing
SETTING: dict[str, Any] = {"draws": 2, "seed": 0, "controls": "none"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A frozen claim, and the model that it is about."""
    folder = tmp_path_factory.mktemp("frozen")
    own = good(folder)
    package.freeze(own, folder / "claim")
    return folder / "claim", own.model()


def numbers(folder: Path, model: Any) -> tuple[str, dict[str, Any]]:
    """The digest of a frozen claim, and what it gives, but for its name, and whether it is called a foil."""
    found = package.test(package.thaw(folder), model, **SETTING).to_dict()
    return found["digest"], {k: v for k, v in found.items() if k not in UNSAID}


def forged(folder: Path) -> None:
    """Right digests and canonical text, as someone would who wants a changed claim to be believed."""
    try:
        claim = json.loads((folder / "claim.json").read_text())
        for name in ("rows.jsonl", "values.json"):
            claim["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "claim.json").write_text(json.dumps(claim))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(thaw, "_same_text", lambda file, text: file.write_text("\n".join([*text, ""])))
            package.thaw(folder)
    except ScrubError as error:
        if right := re.search(r"and the claim's is (\w+)", str(error)):
            (folder / "claim.json").write_text(json.dumps(claim | {"digest": right[1]}))
    except (ValueError, TypeError, LookupError, OSError, RecursionError):
        return


def mutated(rng: Random, folder: Path) -> None:
    file = folder / rng.choice([*NAMES, "claim.json", "claim.json"])
    if rng.random() < 0.3 or file.suffix == ".txt":
        file.write_bytes(damaged(rng, file.read_bytes()))
    elif file.suffix == ".jsonl":
        rows = changed(rng, [json.loads(line) for line in file.read_text().splitlines()])
        lines = rows if isinstance(rows, list) else [rows]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in lines))
    else:
        file.write_text(as_json(changed(rng, json.loads(file.read_text())), rng))
    if rng.random() < 0.7:
        forged(folder)


@runs(60)
def test_frozen_claims(published: tuple[Path, Any], tmp_path: Path, cases: int) -> None:
    digest, known = numbers(*published)

    def case(name: str, rng: Random) -> str:
        folder = Path(shutil.copytree(published[0], tmp_path / "claim"))
        try:
            mutated(rng, folder)
            with limited():
                try:
                    found, told = numbers(folder, published[1])
                except ScrubError as error:
                    return "refused" if str(error) else "refused without a word"
            if found != digest:
                return "another digest"
            assert told == known, name
            return "the same"
        finally:
            shutil.rmtree(folder)

    ends = counted("frozen claims", cases, case)
    assert set(ends) <= {"refused", "another digest", "the same"}


@runs(10)
def test_frozen_claims_on_the_command_line(published: tuple[Path, Any], tmp_path: Path, cases: int) -> None:
    """The same by the commands that need no model in Python, and what they print."""

    def case(name: str, rng: Random) -> str:
        folder = Path(shutil.copytree(published[0], tmp_path / "claim"))
        try:
            mutated(rng, folder)
            return f"exit {ran(name, rng.choice(['list', 'check', 'show', 'test']), folder).exit_code}"
        finally:
            shutil.rmtree(folder)

    counted("frozen claims, commands", min(cases, 2000), case)
