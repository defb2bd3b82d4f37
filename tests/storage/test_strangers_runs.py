"""Run directories of someone else: nothing waits, nothing outside is written, no stored markup is shown."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli_cases import FALSE, HEAD, Write, rewrite, scrub, write
from scrub.storage.blocks import read_arrays, write_arrays

__all__ = ["write"]
TEXT = "good = make()\nother = make(odd).foil('the remainder')\n"
EVIL = "<meta http-equiv=refresh content=0><script>alert(1)</script>"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody has touched."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        Path("claims.py").write_text(f"{HEAD}{FALSE}\n{TEXT}\n")
        assert again().exit_code == 0
    return folder / "run"


@pytest.fixture
def run(kept: Path, write: Write) -> Path:
    write(TEXT)
    return Path(shutil.copytree(kept, "run"))


def again(*more: object) -> Any:
    return scrub("test", "claims.py", "--rows", 36, "--draws", 2, "--out", "run", *more)


def record(run: Path) -> Path:
    return next(run.glob("claims/claims-py-good-*"))


def reworded(**changed: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        arrays, words = read_arrays(path)
        write_arrays(path, arrays, {name: text for name, text in (words | changed).items() if text})

    return change


def renumbered(path: Path) -> None:
    arrays, words = read_arrays(path)
    write_arrays(path, {name: array[None] for name, array in arrays.items()}, words)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: shutil.copy(next(path.parents[1].glob("blocks/*")), path),
        reworded(result="{}"), reworded(result='{"results": []}'), reworded(result='{"results": [7]}'),
        reworded(result=""), reworded(text="[1]"), reworded(text='["\\u001b[2J"]'), reworded(text="[" * 10**5),
        renumbered,
    ],
)  # fmt: skip
def test_what_is_no_record_of_a_claim_is_told(run: Path, change: Callable[[Path], None]) -> None:
    change(record(run))
    found = again()
    assert found.exit_code == 2
    assert "is damaged: it is no record of a claim's last run" in found.stderr
    assert again("--recompute").exit_code == 0


@pytest.mark.parametrize("name", ["kept.json", "run.json", "drawings.json", "claims", "blocks"])
def test_pipes_and_links_are_not_read(run: Path, name: str) -> None:
    file = next((run / name).glob("*")) if (run / name).is_dir() else run / name
    for make in (os.mkfifo, lambda path: path.symlink_to("/etc/passwd")):
        file.unlink()
        make(file)
        found = scrub("report", run) if name in ("run.json", "drawings.json") else again()
        assert found.exit_code == 2
        assert file.name in found.stderr
        assert "root:" not in found.output


def test_nothing_outside_is_written_or_taken_away(run: Path) -> None:
    mine = Path("mine")
    mine.write_text("my own")
    for name in ("run.json", "drawings.json", "report.html"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(mine.absolute())
    shutil.move(run / "blocks", "home")
    (run / "blocks").symlink_to(Path("home").absolute())
    old = [Path("home", name) for name in (".bashrc", ".a.b", f".{'a' * 32}.safetensors.{'b' * 32}")]
    for path in old:
        path.write_text("old")
        os.utime(path, (0, 0))
    assert again("--report").exit_code == 0
    assert mine.read_text() == "my own"
    assert [path.exists() for path in old] == [True, True, False]
    assert not any((run / name).is_symlink() for name in ("run.json", "drawings.json", "report.html"))


def strings(found: Any) -> Any:
    """The same, every string being markup, names of fields as they are."""
    if isinstance(found, dict):
        return {name: strings(part) for name, part in found.items()}
    if isinstance(found, list):
        return [strings(part) for part in found]
    return f"{EVIL}{found}" if isinstance(found, str) else found


def test_no_stored_markup_reaches_the_page(run: Path) -> None:
    pair = ("claims.py::good", "claims.py::other", "--rows", 36, "--draws", 2, "--out", "run")
    assert scrub("compare", *pair).exit_code == 0
    assert scrub("criteria", "claims.py::good", "--random", 2, "--out", "run").exit_code == 0
    assert scrub("propose", "claims.py::good", "--method", "exact", "--pair", "a", "--out", "run").exit_code == 0
    shown = 0
    for name in ("drawings.json", "comparison.json", "criteria.json", "proposals.json", "run.json"):
        file = run / name
        kept = {path: path.read_text() for path in run.glob("*.json")}
        stored = json.loads(kept[file])
        changed = stored | {"results": [strings(r) for r in stored["results"]], "command": f"; {EVIL}"}
        rewrite(run, name, changed)
        found = scrub("report", run)
        assert found.exit_code in (0, 2)
        page = (run / "report.html").read_text() if found.exit_code == 0 else ""
        shown += found.exit_code == 0
        assert not re.findall(r"<script|<meta http-equiv=refresh", page), name
        for path, text in kept.items():
            path.write_text(text)
    assert shown


@pytest.mark.parametrize("bad", ["<script>", None, [], {"boxes": [], "links": []}, "x" * 9])
def test_a_figure_that_is_none_is_told(run: Path, bad: object) -> None:
    file = run / "drawings.json"
    stored = json.loads(file.read_text())
    stored["results"][0]["figure"] = bad
    rewrite(run, "drawings.json", stored)
    found = scrub("report", run)
    assert (found.exit_code, "is damaged" in found.stderr) == (2, True)


def test_arrays_of_other_types_are_damaged(run: Path) -> None:
    file = next(run.glob("blocks/*"))
    header = b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    file.write_bytes(len(header).to_bytes(8, "little") + header + np.zeros(1, np.uint16).tobytes())
    found = again()
    assert (found.exit_code, "is damaged" in found.stderr) == (2, True)
