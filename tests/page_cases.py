"""What a page of the documents shows, done: files are written, commands are run, and what they print is compared.

`python page_cases.py PAGE:FOLDER ...` follows pages, each in its folder, in one process that is not a test's:
no shape is checked there, as where a reader runs them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path

from attrs import frozen

from cli_cases import scrub

LEFT_OUT = "..."  # a line of its own, for lines that a page leaves out
_BLOCK = re.compile(r"^```(\w+)(?: title=\"([\w./]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@frozen
class Shown:
    """A command as a page shows it, and the lines below it."""

    command: str
    lines: tuple[str, ...]


def follow(page: Path) -> list[list[str]]:
    """Do what a page says, here: what each command really prints. A second block of one file is added to it."""
    done = []
    for kind, title, text in _BLOCK.findall(page.read_text()):
        if title:
            file = Path(title)
            file.write_text(f"{file.read_text()}\n\n{text}" if file.exists() else text)
        elif kind == "console":
            done += [run(shown.command) for shown in commands(text)]
    return done


def shown_on(page: Path) -> list[Shown]:
    blocks = _BLOCK.findall(page.read_text())
    return [shown for kind, _, text in blocks if kind == "console" for shown in commands(text)]


def commands(text: str) -> list[Shown]:
    first, *others = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not first, f"a console block begins with a command, not with {first!r}"
    return [Shown(lines[0], tuple(lines[1:])) for lines in (other.splitlines() for other in others)]


def run(command: str) -> list[str]:
    """What a command prints, line by line: those of scrub in this process, `mkdir` and `cd` as a shell does them."""
    name, *arguments = shlex.split(command)
    if name == "scrub":
        return scrub(*arguments).output.splitlines()
    (place,) = arguments
    assert name in ("mkdir", "cd"), f"no test knows how to run {command!r}"
    os.mkdir(place) if name == "mkdir" else os.chdir(place)
    return []


def shows(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether the shown lines are the printed ones, in order; a line `...` stands for any number of them."""
    if not shown or not printed:
        return not printed and all(line.strip() == LEFT_OUT for line in shown)
    if shown[0].strip() == LEFT_OUT:
        return any(shows(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return shown[0] == printed[0].rstrip() and shows(shown[1:], printed[1:])


def main(asked: list[str]) -> None:
    found = {}
    for page, folder in (pair.split(":") for pair in asked):
        os.chdir(folder)
        found[page] = follow(Path(page))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
