"""How a command ends: with a code that says what happened, and a sentence, whatever happened on the way.

What no command expected is a fault of scrub, or of the machine: it ends with `BROKEN`, never with 1, which says
that a claim is refuted. `SCRUB_TRACEBACK=1` shows where it arose.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from scrub.cli.interrupted import INTERRUPTED
from scrub.cli.terminal import tell

FINE, FAILED, MISUSE, OPEN, BROKEN = 0, 1, 2, 3, 4
TRACEBACK = "SCRUB_TRACEBACK"


class Ended(click.Group):
    """A group whose commands end with one of these codes, and show no traceback unless it is asked for."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        run = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by whoever started us: what is said there is lost
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        code = _ended(lambda: run(*args, standalone_mode=False, **extra))
        for stream in (sys.stdout, sys.stderr):
            _dropped(stream)
        sys.exit(code)


def _ended(run: Callable[[], Any]) -> int:
    try:
        code = run()
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code
    except click.Abort:  # before a command began, or while its end was told
        tell("scrub: interrupted.")
        return INTERRUPTED
    except SystemExit:  # click's, where whoever reads standard output has heard enough
        return BROKEN
    except BaseException as error:
        tell(broken(error))
        return BROKEN
    return code if isinstance(code, int) else FINE


def broken(error: BaseException) -> str:
    """What is said of an error that no command expected, under its traceback if that is asked for."""
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        return "".join([*traceback.format_exception(error), f"scrub: {type(error).__name__}."])
    said = f"{type(error).__name__}: {error}".rstrip(": .")
    if isinstance(error, OSError):
        said = ": ".join(filter(None, [error.filename and str(error.filename), error.strerror or said]))
    again = f"{TRACEBACK}=1 shows where."
    if isinstance(error, OSError | MemoryError) or "allocate memory" in said or "OutOfMemory" in said:
        return f"scrub: the machine refused: {said}. Results that were not printed or kept are lost. {again}"
    return f"scrub: internal error, a fault of scrub and not of what was asked: {said}{_where(error)}. {again}"


def _where(error: BaseException) -> str:
    """` (scrub/file.py:12)`: the innermost line of scrub."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(_HERE)]
    return f" ({Path(ours[-1].filename).relative_to(_HERE.parent)}:{ours[-1].lineno})" if ours else ""


_HERE = Path(__file__).parents[1]


def _dropped(stream: Any) -> None:
    """What a full disk or a closed pipe did not take is dropped, or else Python would end with a code of its own."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
