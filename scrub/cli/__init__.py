"""The command line, one file a command."""

import gc
from collections.abc import Callable

from scrub.cli.interrupted import clean


def main() -> None:
    """What `scrub` and `python -m scrub` run: clean ends of interruptions, from here on.

    What start-up makes stays: to look through it for garbage, again and again, took a tenth of its time.
    """
    gc.disable()
    clean(_run)


def _run(begun: Callable[[], None]) -> None:
    from scrub.cli.group import main as group

    group(prog_name="scrub", obj=lambda: _started(begun))


def _started(begun: Callable[[], None]) -> None:
    begun()
    gc.freeze()
    gc.enable()
