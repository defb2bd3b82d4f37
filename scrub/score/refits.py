"""The control of permuted values: a claim with directions that were fitted on values of other rows.

A fit finds something wherever it has many rows and dimensions to choose from. Where directions found for values that
say nothing of the row do as well, the claim's own were chosen by what the host varies by, not by the variable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from attrs import evolve

from scrub.anatomy.tolerances import ROUNDING
from scrub.engine.draw import all_swaps
from scrub.score.control import PERMUTED_FIT, Control
from scrub.score.controls import beyond_shuffled, of_shuffled
from scrub.score.cost import REFIT_DRAWS
from scrub.score.demand import doubted
from scrub.score.result import Result
from scrub.score.sample import ClaimBench, Resampling, Samples, resample_only
from scrub.score.statistics import interval


def permuted_fits(
    samples: Samples, result: Result, others: Sequence[ClaimBench], same: bool,
    done: Callable[[int], None] = lambda _: None,
) -> Result:  # fmt: skip
    """A result with what such directions recover on average; a supported claim that recovers no more is doubted.

    Where permuted values find the `same` directions, because hosts vary along no others, nothing is doubted.
    """
    asked = Resampling(samples.references, REFIT_DRAWS, result.seed)
    tables = [resample_only(o, asked, all_swaps(o.tree, o.claim), done).mean(1) for o in others]
    columns = np.column_stack([samples.columns[:, :3], np.mean(tables, axis=0)])
    share = interval(columns, of_shuffled, result.seed)
    also = ": it finds the same directions, there are no others" if same else ""
    note = f"{len(others)} times the same fit on permuted values{also}"
    found = Control(PERMUTED_FIT, share.value, share.low, share.high, None, note)
    result = evolve(result, controls=(*result.controls, found))
    more = interval(columns, beyond_shuffled, result.seed)
    if same or (more.low is not None and more.low > ROUNDING):
        return result
    seen = "has no interval" if more.low is None else f"is {more}, which does not lie above 0"
    return doubted(result, f"the same fit on permuted values does as well: what is recovered beyond it {seen}.")
