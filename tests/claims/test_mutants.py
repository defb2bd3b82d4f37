"""Whatever token of a claim is wrong, it is told in sentences: never a traceback, never a ✓ beside a problem."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from claim_mutants import Mutant, mutants
from cli_cases import scrub
from published_cases import GALLERY, MODELS, TOKENIZER, outline
from scrub.model import resolve

SMALL = ("compose", "either", "induction")  # of which some mutants are tried in every run of the suite
EACH, LONGEST = 25, 60
pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")  # Python's own, of a misspelt word


@contextmanager
def at_most(seconds: int) -> Generator[None]:
    """A mutant that does not end is told as one, rather than holding up the suite."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"not done in {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tried(mutant: Mutant, file: Path, model: tuple[str, ...] = ()) -> int:
    """The exit code of check; a claim that passes it is drawn and planned too."""
    file.write_text(mutant.text)
    found = file.with_suffix(".json")
    checked = scrub("check", file, "--json", found, *model)
    results = json.loads(found.read_text())["results"] if checked.exit_code in (0, 2) and found.exists() else []
    wrong = {r["hypothesis"].split("::")[-1] for r in results if r["problems"]}
    ticked = {line.split()[1] for line in checked.output.splitlines() if line.startswith("✓ ")}
    assert not wrong & ticked, checked.output
    assert "Traceback" not in checked.output
    for command in (["show"], ["plan", "--rows", "2", "--draws", "1"]) if checked.exit_code == 0 else ():
        assert scrub(*command, file, *model).exit_code == 0
    found.unlink(missing_ok=True)
    resolve._made.clear()  # data of functions that no later mutant has # pyright: ignore[reportPrivateUsage]
    return checked.exit_code


def all_told(some: list[Mutant], file: Path, *model: str) -> list[int]:
    codes: list[int] = []
    for mutant in some:
        try:
            with at_most(LONGEST):
                codes.append(tried(mutant, file, model))
        except BaseException as error:
            raise AssertionError(f"{mutant.what} -> {type(error).__name__}: {error}") from error
    assert set(codes) <= {0, 2}
    return codes


@pytest.mark.parametrize("name", SMALL)
def test_some_wrong_tokens_are_told(name: str, tmp_path: Path) -> None:
    every = list(mutants((GALLERY / f"{name}.py").read_text()))
    codes = all_told(random.Random(name).sample(every, EACH), tmp_path / "mutant.py")
    assert codes.count(2) > EACH / 2


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(GALLERY.glob("*.py")), ids=lambda file: file.stem)
def test_every_wrong_token_of_the_gallery_is_told(file: Path, tmp_path: Path) -> None:
    if file.stem in MODELS and not TOKENIZER.is_dir():
        pytest.skip("the GPT-2 tokenizer of SCRUB_TEST_DATA is not here")
    model = ("--model", str(outline(file.stem, tmp_path))) if file.stem in MODELS else ()
    codes = all_told(list(mutants(file.read_text())), tmp_path / "mutant.py", *model)
    assert codes.count(2) > len(codes) / 2
