"""What reads claims imports nothing heavy, and needs no weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli_cases import GOOD, Write, model_directory, results, scrub, write

__all__ = ["write"]
READERS = ("list", "check", "show")  # what a plan says of memory is counted by the code that fills it, with torch
HEAVY = ("torch", "transformers", "transformer_lens", "pandas", "rich", "tqdm", "scipy")


def test_reading_claims_imports_nothing_heavy(write: Write) -> None:
    write(GOOD, "graph.py")
    scrub("new", "zoo.py")
    scrub("new", "directory.py", "--model", model_directory(Path("model")))
    code = (
        "import sys, scrub\nprint('jaxtyping' in sys.modules, file=sys.stderr)\n"  # half of what importing takes
        "from scrub.cli.group import main\n"
        f"for command in {READERS}:\n"
        "    files = ['graph.py', 'zoo.py', 'directory.py', '--json', f'{command}.json']\n"
        "    try:\n        main([command, *files])\n"
        "    except SystemExit as end:\n"
        f"        print(command, end.code, [m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stderr.splitlines() == ["False", *(f"{command} 0 []" for command in READERS)]
    for command in READERS:
        listed = {r["hypothesis"].split("::")[0] for r in results(Path(f"{command}.json").read_text())}
        assert listed == {"graph.py", "zoo.py", "directory.py"}


def test_a_directory_without_weights_is_checked_shown_and_planned_but_not_tested(write: Write) -> None:
    folder = model_directory(Path("model"))
    scrub("new", "claims.py", "--model", folder)
    assert [scrub(c, "claims.py").exit_code for c in ("check", "show", "plan")] == [0, 0, 0]
    found = scrub("test", "claims.py", "--rows", 10)
    assert found.exit_code == 2
    assert "no weights" in found.stderr


def test_gpt2s_tokenizer_without_its_weights(write: Write) -> None:
    data = Path(os.environ.get("SCRUB_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    folder = data.absolute() / "gpt2-tokenizer"
    if not folder.is_dir():
        pytest.skip("gpt2-tokenizer: set SCRUB_TEST_DATA")
    write("")
    scrub("new", "ioi.py", "--like", "ioi")
    for command in ("check", "show", "plan"):
        assert scrub(command, "ioi.py", "--model", folder).exit_code == 0
    assert scrub("check", "ioi.py", "--model", "zoo:induction").exit_code == 2


def test_garbage_is_collected_once_a_command_runs_and_a_callers_choice_is_kept() -> None:
    ask = "import gc, sys, scrub.cli as cli\nimport scrub.storage.files as files\n"
    ask += (
        "files.writable = lambda file: print(gc.isenabled())\nsys.argv = ['scrub', 'list', 'x.py', '--json', 'y']\n"
    )
    started = ask + "cli.main()"
    called = ask + "from scrub.cli.group import main\ngc.disable()\nmain(sys.argv[1:])"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for code in (started, called)
    ]
    assert [run.stdout.split()[:1] for run in runs] == [["True"], ["False"]]
