"""Paths of options: what no file system can hold is told, an empty one names nothing, a link stays a link."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli_cases import Write, scrub, write

__all__ = ["write"]
GOOD = "good = make()"
LONG = "x" * 300
PATHS = [
    ["test", "claims.py", "--out"], ["test", "claims.py", "--json"], ["test", "claims.py", "--markdown"],
    ["show", "claims.py", "--picture"], ["freeze", "claims.py::good", "--out"], ["criteria", "claims.py", "--out"],
    ["compare", "claims.py", "claims.py", "--picture"], ["propose", "claims.py", "--write"], ["report"], ["new"],
    ["propose", "--model", "zoo:names", "--metric", "loss(io)", "--data"], ["list"],
    ["check", "claims.py", "--model"], ["criteria", "claims.py", "--circuit"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", PATHS, ids=" ".join)
def test_paths_that_cannot_be_are_told(write: Write, arguments: list[str]) -> None:
    write(GOOD)
    Path("loop.svg").symlink_to("loop.svg")
    before = {path.name for path in Path().iterdir()} | {"__pycache__"}
    for path in ("", LONG, f"new/{LONG}", f"{LONG}.svg", "loop.svg"):
        found = scrub(*arguments, path)
        assert found.exit_code == 2, path
        assert found.output.strip(), path
    assert {path.name for path in Path().iterdir()} <= before


def test_names_as_long_as_can_be(write: Write) -> None:
    write(GOOD)
    assert scrub("test", "claims.py", "--json", LONG[:250]).exit_code == 0
    assert json.loads(Path(LONG[:250]).read_text())["results"][0]["verdict"] == "supported"
    found = scrub("propose", "claims.py", "--write", f"{LONG[:252]}.py")  # its rows would be a .jsonl
    assert (found.exit_code, "File name too long" in found.stderr) == (2, True)


def test_names_of_parts_are_no_path_that_is_too_long(write: Write) -> None:
    write(GOOD)
    found = scrub("criteria", "claims.py", "--circuit", ", ".join(["h"] * 200), "--random", 1, "--no-tests")
    assert found.exit_code == 0


def test_a_link_in_markdown_stays_a_link(write: Write) -> None:
    write(GOOD)
    Path("page.md").symlink_to("deep/target.md")
    assert scrub("test", "claims.py", "--markdown", "page.md").exit_code == 0
    assert os.readlink("page.md") == "deep/target.md"
    assert "supported" in Path("deep/target.md").read_text()
