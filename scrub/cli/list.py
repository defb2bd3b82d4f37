"""`scrub list`: the claims in files."""

from __future__ import annotations

from typing import Any

import click

from scrub.claims.collect import collect
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import Problem
from scrub.claims.titles import name_of
from scrub.cli.endings import FINE, MISUSE
from scrub.cli.options import (
    Results,
    reporting,
    say,
    targeted,
)
from scrub.cli.terminal import tell


@click.command("list", short_help="List the claims in files.")
@targeted
@reporting
def list_(targets: tuple[str, ...]) -> tuple[Results, int]:
    """List the claims in files, foils with their reasons.

    Runs the files: of a directory those that import scrub, but none that is hidden, nor of an environment or a cache.
    A frozen claim runs nothing.
    """
    found = collect(targets)
    entries = [*map(_entry, found.hypotheses), *map(_broken, found.problems)]
    for problem in found.problems:
        tell(str(problem))
    if found.hypotheses:
        from scrub.report import text

        rows = [(*(str(e[k] or "-") for k in ("hypothesis", "model", "expect")), e["foil"] or "") for e in entries]
        say("\n".join(text.table([("claim", "model", "expects", "foil"), *rows])))
    return entries, MISUSE if found.problems else FINE


def _entry(h: Hypothesis) -> dict[str, Any]:
    model = h.model if isinstance(h.model, str) else getattr(h.model, "__name__", type(h.model).__name__)
    expect = h.expect.share if h.expect else None
    return {
        "hypothesis": name_of(h), "model": model, "expect": expect, "foil": h.foil_reason,
        "variants": h.variants, "problems": [],
    }  # fmt: skip


def _broken(problem: Problem) -> dict[str, Any]:
    found = {"hypothesis": problem.file, "problems": [problem.record]}
    return found | {"model": None, "expect": None, "foil": None, "variants": {}}
