"""`scrub.shrink`: a claim as small as it can be while it stays as good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.claims.hypothesis import Hypothesis
from scrub.errors import ClaimError
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.verbs.searching import Prepared, Sample, prepared, revised
from scrub.verbs.setup import keeping, progress, working
from scrub.verbs.verdict import judged

if TYPE_CHECKING:
    from scrub.score.revision import Revision


def shrink(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    exact: bool = False, *, worth: float = 0.01, device: str | None = None, dtype: str = "auto",
    memory: Asked = None, write: str | Path | None = None,
    cache: str | Path | None = None, workers: int = 1, ray: str | None = None, stream: bool = False,
) -> Revision:  # fmt: skip
    """Make a supported claim as small as it can be while it loses less than `worth` of what is recovered.

    Components, edges and channels are dropped, `through` is narrowed and values are merged, greedily on one half of
    the rows; what is lost is measured on the other half. `.claim` is the smaller claim, which is not tested on the
    rows that were searched (`seen`); `write` is a new file for it, beside the claim's own. Other arguments as `test`.

    Raises as `test`, and ClaimError for a claim that is not supported, saying what `scrub.grow` would add.
    """
    from scrub.score.shrinking import shrink_claim

    backend = keeping(Backend(device, dtype, memory, workers=working(workers, ray)), cache)
    asked = Sample(rows, draws, seed, exact, worth)
    given = given_model(hypothesis, model, stream)
    ready = prepared(hypothesis, given, asked, backend, write)
    if hypothesis.expect is None:
        sound(hypothesis, given)  # raises: it can only be supported by what it expects
    _supported(ready)
    with progress(f"{hypothesis.title}: shrinking", 0) as bar:
        changes, steps, notes = shrink_claim(evolve(ready.search, done=bar))
    return revised(ready, "shrink", changes, steps, notes)


def _supported(ready: Prepared) -> None:
    """Raises ClaimError for a claim that its rows do not support: those that are searched may be too few to tell."""
    from scrub.score.cost import QUICK
    from scrub.score.giving import what_is_left_out
    from scrub.score.taken import Taken
    from scrub.score.trial import Trial
    from scrub.score.verdict import SUPPORTED, UNDEFINED

    search, asked = ready.search, ready.asked
    trial = Trial(ready.name, asked.draws, asked.seed, asked.exact, "none")
    result = judged(search.bench, ready.whole, trial, ready.opened)
    if result.verdict == SUPPORTED:
        return
    taken = Taken(search.bench, search.samples, asked.seed, asked.exact)
    left = [one for one in what_is_left_out(taken, QUICK) if one.gain > 0]
    broken = "" if result.verdict == UNDEFINED else " scrub explain shows what breaks it."
    more = f" scrub grow would begin with: {left[0].words}." if left else broken
    where = f"{ready.name} is {result.verdict} on its {len(ready.whole.references)} rows"
    raise ClaimError(f"{where} ({result.reason.rstrip('.')}), and only a supported claim is made smaller.{more}")
