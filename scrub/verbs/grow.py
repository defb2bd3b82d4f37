"""`scrub.grow`: what a claim leaves out is added to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.claims.hypothesis import Hypothesis
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model
from scrub.verbs.searching import Sample, prepared, revised
from scrub.verbs.setup import keeping, progress, working

if TYPE_CHECKING:
    from scrub.score.revision import Revision


def grow(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    exact: bool = False, *, worth: float = 0.01, device: str | None = None, dtype: str = "auto",
    memory: Asked = None, write: str | Path | None = None,
    cache: str | Path | None = None, workers: int = 1, ray: str | None = None, stream: bool = False,
) -> Revision:  # fmt: skip
    """Add what a claim leaves out, the largest first, until nothing that can be added gains more than `worth`.

    Edges, components through channels, and columns at positions with names are found on one half of the rows; what
    is gained is measured on the other half. `.claim` is the larger claim, which is not tested on the rows that were
    searched (`seen`); `write` is a new file for it, beside the claim's own. Other arguments, and errors, as `shrink`;
    the claim need not be supported.
    """
    from scrub.score.growing import grow_claim

    backend = keeping(Backend(device, dtype, memory, workers=working(workers, ray)), cache)
    given, asked = given_model(hypothesis, model, stream), Sample(rows, draws, seed, exact, worth)
    ready = prepared(hypothesis, given, asked, backend, write)
    with progress(f"{hypothesis.title}: growing") as bar:
        changes, steps, notes = grow_claim(evolve(ready.search, done=bar), bar.phase)
    return revised(ready, "grow", changes, steps, notes)
