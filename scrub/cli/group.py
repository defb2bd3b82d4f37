"""The command line. Every command reads claims, calls one verb of `scrub.verbs`, and prints what it returns.

Misuse and wrong files exit with 2 and a sentence, never a traceback. `list` and `check` tell of wrong files among
their results; the other commands run nothing while something is wrong: problems go to standard error, and no
JSON is written.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from scrub.claims.problems import ClaimProblems
from scrub.cli.defaults import defaults_for
from scrub.cli.endings import MISUSE, Ended
from scrub.cli.interrupted import INTERRUPTED
from scrub.cli.terminal import tell
from scrub.errors import ScrubError, did_you_mean
from scrub.storage.version import VERSION

COMMANDS = (
    "cache", "check", "compare", "criteria", "diff", "explain", "fit", "freeze", "grow", "interchange", "list",
    "merge", "new", "patch", "plan", "power", "propose", "report", "show", "shrink", "sweep", "test", "view", "views",
)  # fmt: skip


class _Group(Ended):
    """Misuse exits with 2 and a sentence, an interruption with 130; neither shows a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = partial(_warned, warnings.showwarning)
                return super().invoke(ctx)
        except ClaimProblems as error:
            said, code = str(error), MISUSE
        except ScrubError as error:
            said, code = f"scrub: {error}", MISUSE
        except SystemExit as error:  # not ours: click's own commands end otherwise. A 0 would read as a pass
            said, code = f"scrub: the code of a claim called sys.exit({error.code!r}).", MISUSE
        except KeyboardInterrupt as error:
            said, code = f"scrub: interrupted; {str(error) or 'no results were written'}.", INTERRUPTED
        tell(said)
        raise click.exceptions.Exit(code)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and args[0].isidentifier():
            ctx.fail(f"No such command {args[0]!r}.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command is imported when it is asked for."""
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(f"scrub.cli.{cmd_name}"), "list_" if cmd_name == "list" else cmd_name)
        if callable(ctx.obj):  # start-up ends here
            ctx.obj()
        return found


def _warned(
    others: Callable[..., None], message: Warning | str, category: type[Warning], file: str, *more: Any
) -> None:
    """A warning of scrub's own is a sentence, without the line of code that gave it."""
    if category is UserWarning and Path(file).is_relative_to(_HERE):
        tell(f"scrub: {message}")
    else:
        others(message, category, file, *more)


_HERE = Path(__file__).parents[1]
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group("scrub", cls=_Group, context_settings=_SETTINGS)
@click.version_option(VERSION, prog_name="scrub")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Test explanations of neural networks: pytest for circuit claims.

    TARGETS are files, directories of files, file.py::name, 'file.py::name[variant=False]', or frozen claims.

    Every command runs the files it is given, list and check too: look into a file of someone else's before. Of a
    directory those that import scrub are run. A frozen claim (a directory with a claim.json) runs nothing.
    """
    ctx.default_map = defaults_for(COMMANDS)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows no ✓ shows a ?
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
