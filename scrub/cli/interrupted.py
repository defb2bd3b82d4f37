"""Ctrl-C before a command runs, while it runs, and after.

While a command starts there is nothing to keep, and the process is left at once, whatever it was importing; while one
runs it is a KeyboardInterrupt, of which `scrub.cli.group` and `scrub.cli.options.going_on` speak; once results are
written it changes nothing. What lies before, Python's own start and the import of `scrub`, is Python's.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

INTERRUPTED = 130


def clean(run: Callable[[Callable[[], None]], None]) -> None:
    """Run a command, which calls what it is given as it begins."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # a script's background ignores it
        return run(lambda: None)
    signal.signal(signal.SIGINT, _before)
    try:
        run(_during)
    except KeyboardInterrupt:  # of what the command printed, not all was taken
        _leave("what was printed may not be whole")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _before(*_: object) -> NoReturn:
    _leave("no results were written")


def _during() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(said: str) -> NoReturn:
    """The end, without what Python does at its own."""
    with suppress(OSError):
        os.write(2, f"scrub: interrupted; {said}.\n".encode())
    os._exit(INTERRUPTED)
