"""`scrub interchange`, `power`, `sweep` and `patch` give what the verbs of Python give; defaults of a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import scrub as package
from cli_cases import FOIL, GOOD, Write, scrub, write

__all__ = ["write"]
INDUCTION = Path(__file__).parents[2] / "hypotheses" / "induction.py"
VERBS: dict[str, tuple[list[object], Any]] = {
    "interchange": (["--rows", 32, "--draws", 3], lambda h: package.interchange(h, rows=32, draws=3)),
    "power": (["--rows", 90], lambda h: package.power(h, rows=90)),
    "sweep": (
        ["--senders", "a h, g", "--to", "-> out", "--ablation", "resample", "--draws", 2, "--seed", 3],
        lambda h: package.sweep(
            ["a", "h", "g"], "-> out", h, ablation="resample", draws=2, seed=3
        ),
    ),
    "patch": (
        ["--path", "a -> h ~all~> out", "--path", "b -> out", "--rows", 32],
        lambda h: package.patch_paths(["a -> h ~all~> out", "b -> out"], h, rows=32),
    ),
}  # fmt: skip


def claims(file: Path) -> dict[str, Any]:
    from scrub.claims.collect import collect

    return {h.name: h for h in collect([str(file)]).hypotheses}


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_gives_what_its_verb_gives(write: Write, verb: str) -> None:
    options, run = VERBS[verb]
    file = write(f"{GOOD}\n{FOIL}")
    own = run(claims(file)["good"])
    found = scrub(verb, file, *options, "--json", "found.json", "--out", "kept")  # a foil is not asked
    assert (found.exit_code, found.stdout.strip()) == (0, str(own))
    expected = json.loads(json.dumps({"hypothesis": "claims.py::good"} | own.to_dict()))
    (result,) = json.loads(Path("found.json").read_text())["results"]
    assert result == expected
    (kept,) = {p.name for p in Path("kept").iterdir()} - {"kept.json"}
    assert json.loads((Path("kept") / kept).read_text())["results"] == [expected]
    assert scrub("report", "kept").exit_code == 0


def test_sweep_and_patch_at_a_model_and_data_at_hand(write: Write) -> None:
    """Without a claim: what they lack is named, what a claim says itself is refused."""
    Path("rows.jsonl").write_text(
        "".join(
            json.dumps({"tokens": [1, 5 + i, 6 + i, 5 + i], "columns": {"label": 6 + i, "other": 5 + i}}) + "\n"
            for i in range(8)
        )
    )
    asked = ["--model", "zoo:induction", "--data", "rows.jsonl", "--metric", "logit_diff(label, other)"]
    found = scrub("sweep", *asked, "--senders", "heads 0", "--at", "-1, -2", "--picture", "map.svg")
    assert found.exit_code == 0, found.stderr
    assert "0.3" in found.stdout
    assert Path("map.svg").read_text().startswith("<svg")
    assert scrub("patch", *asked, "--path", "0.3 -> logits", "--dtype", "float64").exit_code == 0
    assert "--metric" in scrub("sweep", *asked[:4]).stderr
    both = scrub("patch", write(GOOD), *asked[2:], "--path", "h -> out")
    assert (both.exit_code, "claims.py says this itself" in both.stderr) == (2, True)


def test_defaults_of_a_project(write: Write) -> None:
    """The command line goes before them; every result names those that took effect."""
    file = write(f"{GOOD}\n{FOIL}")
    Path("pyproject.toml").write_text('[tool.scrub]\nrows = 40\ndraws = 3\ndtype = "float64"\n')
    Path("below").mkdir()
    found = scrub("test", file, "--draws", 4, "--json", "found.json", "--out", "kept")
    (good, _) = json.loads(Path("found.json").read_text())["results"]
    assert (good["rows"], good["draws"]) == (40, 4)
    assert good["options"]["pyproject.toml"] == {"rows": 40, "dtype": "float64"}
    assert found.stdout.splitlines()[-1] == "defaults of pyproject.toml: rows = 40, dtype = 'float64'"
    stored = json.loads((Path("kept") / "run.json").read_text())["results"][0]
    assert stored["options"] == good["options"]
    command = json.loads((Path("kept") / "drawings.json").read_text())["command"]
    assert command == " --rows 40 --draws 4 --dtype float64"  # whoever runs it elsewhere gets the same
    other = scrub("interchange", file, "--json", "-")
    (told,) = json.loads(other.stdout)["results"]
    assert (told["rows"], told["draws"]) == (40, 5)  # donors are other draws


WRONG = {
    "drows = 3": "drows: no such default. Did you mean 'rows'? There are rows, draws, seed, device, dtype, memory.",
    "rows = '40'": "rows = '40': write a whole number.",
    "draws = 0": "draws = 0: write a whole number from 1 on.",
    "seed = true": "seed = True: write a whole number.",
    "device = 1": 'device = 1: write text, such as "cuda".',
    "rows = ": "is no TOML that [tool.scrub] could be read from",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_default_is_told_by_every_command(write: Write, line: str) -> None:
    file = write(GOOD)
    Path("pyproject.toml").write_text(f"[tool.scrub]\n{line}\n")
    for command in ("list", "check", "report"):
        found = scrub(command, file)
        assert found.exit_code == 2
        assert WRONG[line] in found.stderr
        assert str(Path("pyproject.toml").absolute()) in found.stderr
