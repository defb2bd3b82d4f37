"""`scrub plan`: what a test, and every other verb, would cost."""

from __future__ import annotations

import click

from scrub.cli.endings import FINE
from scrub.cli.options import (
    Results,
    on_model,
    reporting,
    sampled,
    say,
    sound_claims,
    targeted,
)


@click.command(short_help="Count what a test would cost.")
@targeted
@on_model
@sampled()
@click.option("--memory", metavar="SIZE", help="The bound that a test is to be given, such as 2GB.")
@click.option("--steps", is_flag=True, help="Also print every step of the program.")
@reporting
def plan(
    targets: tuple[str, ...], model: str | None, rows: int | None, draws: int, seed: int, memory: str | None,
    steps: bool, stream: bool,
) -> tuple[Results, int]:  # fmt: skip
    """Count what a test would compute and share, and its cost in forward passes. Needs no weights."""
    from scrub.verbs.plan import plan as run_plan

    plans = [
        run_plan(h, model, rows, draws, seed, memory=memory, stream=stream)
        for h in sound_claims(targets, model, expecting=False)
    ]
    say("\n".join(f"{p}\n{p.program}" if steps else str(p) for p in plans))
    return [p.to_dict() for p in plans], FINE
