"""Hypothesis files whose tokens were changed: a sentence for every mistake, at whatever token it stands."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from fuzz.fuzz_claims import FILE
from fuzz.fuzzing import Waited, counted, ran, retold, runs

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")
GALLERY = Path(__file__).parents[2] / "hypotheses"
# small data: a case takes milliseconds
CHECKED = [(GALLERY / f"{name}.py").read_text().replace("300", "12") for name in ("induction", "compose", "either")]


@runs(40)
def test_hypothesis_files(tmp_path: Path, cases: int) -> None:
    def case(name: str, rng: Random) -> str:
        file = tmp_path / "claims.py"
        text = retold(rng, FILE)
        file.write_text(text)
        told = f"{name}\n{text}"
        try:
            checked = ran(told, "check", file).exit_code
            if checked or rng.random() < 0.5:
                return f"check: exit {checked}"
            few = ("--draws", 2, "--controls", "none")
            return f"test: exit {ran(told, 'test', file, *few).exit_code}"
        except Waited:  # in the file's own code, or in ours
            return "waited"

    ends = counted("hypothesis files", cases, case)
    assert not ends.get("waited")


@runs(8)
def test_hypothesis_files_of_the_gallery(tmp_path: Path, cases: int) -> None:
    """On transformers, as far as `check` and `list` go."""

    def case(name: str, rng: Random) -> str:
        file = tmp_path / "claims.py"
        text = retold(rng, rng.choice(CHECKED))
        file.write_text(text)
        told = f"{name}\n{text}"
        return f"exit {ran(told, rng.choice(['check', 'check', 'list']), file).exit_code}"

    counted("hypothesis files of the gallery", min(cases, 2000), case)
