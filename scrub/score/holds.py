"""What sites hold: `nodes("c").holds(fn)` says that fn of what they give is the variable's value, on each row."""

from __future__ import annotations

import numpy as np
from attrs import evolve
from jaxtyping import Int

from scrub.claims.resolved import Claim
from scrub.claims.values import equal
from scrub.score.demand import demanded
from scrub.score.domain import design_of
from scrub.score.result import Result
from scrub.score.spoken import PartScore
from scrub.score.statistics import interval

Rows = Int[np.ndarray, " reference"]


def held_values(claim: Claim, references: Rows, result: Result) -> Result:
    """A result with the share of rows on which each site holds what the claim says; it judges at the expectation."""
    design = design_of(claim, references, drawn=False)
    for (name, number), site in claim.held.items():
        right = [equal(site.values[row], claim.values[name][row]) for row in references]
        share = interval(np.array(right, dtype=float)[:, None], lambda columns: columns[:, 0], result.seed, design)
        where = str(claim.placement.placed[name].sites[number].site)
        result = evolve(result, holds=(*result.holds, PartScore(name, share, where)))
        result = demanded(result, share, result.expect, f"{where} does not hold what is said of {name}")
    return result
