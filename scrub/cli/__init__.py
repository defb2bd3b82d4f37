"""The command line, one file a command."""

import gc


def main() -> None:
    """What `scrub` and `python -m scrub` run.

    What start-up makes stays: to look through it for garbage, again and again, took a tenth of its time.
    """
    gc.disable()
    from scrub.cli.group import main as group

    group(prog_name="scrub", obj=_started)


def _started() -> None:
    gc.freeze()
    gc.enable()
