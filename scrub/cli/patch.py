"""`scrub patch`: paths patched together."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from scrub.cli.endings import FINE
from scrub.cli.options import Results
from scrub.cli.patching import Patching, patched, patches
from scrub.storage import stored


@click.command(short_help="Patch along paths: '7.3 -> 9.9.q ~all~> logits'.")
@click.option("--path", "paths", multiple=True, required=True, metavar="PATH", help="Again for each further path.")
@patches
def patch(paths: tuple[str, ...], **asked: Any) -> tuple[Results, int]:
    """Patch along paths, all of them together, and tell what that does to the metric.

    In the setting of a claim, or with --model, --data and --metric. A path is such as '7.3 -> 9.9.q ~all~> logits':
    `->` is the direct way from one part to the next, `~mlps~>` one past MLPs, `~all~>` past everything.
    """
    from scrub.verbs.patch_paths import patch_paths

    return patched(asked, Patching(stored.PATHS, partial(patch_paths, list(paths)), "at")), FINE
