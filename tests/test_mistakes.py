"""The mistakes of new users, and the sentence that each gets (`mistake_cases.py`)."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cli_cases import scrub
from mistake_cases import HEAD, LINES, MISTAKES

OPEN, MISUSE = 3, 2


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with some files of a user's."""
    monkeypatch.chdir(tmp_path)
    Path("nothing").mkdir()
    Path("claims.ipynb").write_text("{}")
    Path("rows.jsonl").write_text('{"tokens": [1, 2]}\n{tokens: 3}\n')
    Path("prompts.csv").write_text("text,IO\nhi,Mary\n")


def told(line: str, sentence: str, code: int = MISUSE) -> None:
    found = scrub(*shlex.split(line))
    assert sentence in found.output, found.output
    assert found.exit_code == code
    assert "Traceback" not in found.output
    assert "internal error" not in found.output


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_file_gets_its_sentence(name: str) -> None:
    body, sentence, command, *_ = (*MISTAKES[name], "check")
    text = f"{HEAD}\n{body}\n"
    Path("mine.py").write_text(text)
    verb, _, options = command.partition(" ")
    code = OPEN if name in ("few rows", "columns exchanged") else MISUSE  # of these a verdict tells
    told(f"{verb} mine.py {options}", sentence.replace("{line}", str(text.count("\n"))), code)


@pytest.mark.parametrize("name", LINES)
def test_a_mistake_on_the_command_line_gets_its_sentence(name: str) -> None:
    Path("mine.py").write_text(f"{HEAD}\nc = make()\n")
    told(*LINES[name])
