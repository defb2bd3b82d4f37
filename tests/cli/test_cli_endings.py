"""How commands end: 4 for what is no claim's fault, a sentence for everything, and terminals are not forged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli_cases import Write, scrub, write
from scrub.errors import escaped
from scrub.verbs import setup

__all__ = ["write"]
GOOD = "good = make()"
FULL = Path("/dev/full")


def raising(error: BaseException) -> object:
    def run(*_: object, **__: object) -> object:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("x"), "internal error, a fault of scrub and not of what was asked: KeyError: 'x'"),
        (AssertionError(), "not of what was asked: AssertionError"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (GeneratorExit("odd"), "GeneratorExit: odd"),
        (MemoryError("no room"), "the machine refused: MemoryError: no room"),
        (OSError(5, "Input/output error", "disk"), "the machine refused: disk: Input/output error"),
    ],
)
def test_a_fault_of_ours_ends_with_4_and_a_sentence(
    write: Write, monkeypatch: pytest.MonkeyPatch, error: BaseException, told: str
) -> None:
    monkeypatch.setattr("scrub.cli.check.run_check", raising(error))
    found = scrub("check", write(GOOD))
    assert (found.exit_code, found.stdout) == (4, "")
    assert told in found.stderr
    assert found.stderr.count("\n") == 1
    assert "SCRUB_TRACEBACK=1 shows where" in found.stderr
    monkeypatch.setenv("SCRUB_TRACEBACK", "1")
    found = scrub("check", "claims.py")
    assert found.exit_code == 4
    assert "Traceback (most recent call last)" in found.stderr


def test_a_warning_of_ours_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the line of code that gave it."""
    monkeypatch.chdir(Path(__file__).parents[2] / "hypotheses")
    monkeypatch.setattr("scrub.storage.rows.RowFiles._write", raising(OSError(28, "No space left on device")))
    found = scrub("interchange", "induction.py::induction", "--rows", 4, "--draws", 1, "--cache", "nowhere")
    said = "scrub: rows are not kept for later claims: No space left on device. All else goes on.\n"
    assert (found.exit_code, found.stderr) == (0, said)


def code_of(command: str) -> int:
    line = f"{sys.executable} -m scrub {command}"
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, check=False).returncode


@pytest.mark.skipif(not FULL.exists(), reason="/dev/full: this system has none")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("list claims.py >/dev/full", 4),
        ("list claims.py --json - >/dev/full", 4),
        ("--help >/dev/full", 4),
        ("list claims.py | true", 4),
        ("check lost.py 2>/dev/full", 2),
        ("list claims.py 2>/dev/full", 0),
    ],
)
def test_a_full_disk_is_no_refutation(write: Write, command: str, code: int) -> None:
    write(GOOD)
    assert code_of(command) == code


def test_more_draws_than_memory_holds_are_refused_with_the_number_that_is_possible(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(GOOD)
    found = scrub("test", file, "--draws", 10**9)
    assert found.exit_code == 2
    assert "48 rows x 1,000,000,000 draws take 2,861 GiB" in found.stderr
    monkeypatch.setattr(setup, "installed", lambda: 48 * 20 * 2 * setup.KEPT)
    assert scrub("test", file, "--draws", 20).exit_code == 0
    assert "at most --draws 20 is possible" in scrub("test", file, "--draws", 21).stderr


@pytest.mark.parametrize("value", ["1e308", "-1e308", "1e101 * (o % 2)"])
def test_a_metric_that_would_overflow_is_refused(write: Write, value: str) -> None:
    found = scrub("test", write(f"c = make(metric=Metric(lambda o, r: {value}))"))
    assert found.exit_code == 2
    assert "cannot be squared and summed: divide it" in found.stderr


def test_what_would_forge_a_terminal_is_escaped(write: Write) -> None:
    assert escaped("a\x1b]0;x\x07\r\n\tü\u202e✓") == "a\\x1b]0;x\\x07\\r\n\tü\\u202e✓"
    found = scrub("list", write("good = make().foil('\\x1b[2Kfine')"))
    assert "\\x1b[2Kfine" in found.stdout
    missing = scrub("list", "\x1b[2K.py")
    assert "\x1b" not in found.output + missing.output
    assert missing.exit_code == 2


def test_a_number_that_is_too_large_is_refused(write: Write) -> None:
    found = scrub("criteria", write(GOOD), "--random", 10**7)
    assert (found.exit_code, "at most 1,000,000 are possible" in found.stderr) == (2, True)
