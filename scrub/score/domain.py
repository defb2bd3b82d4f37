"""Whether the rows of a claim are all that there are: then nothing is sampled, and few rows are enough.

The *whole domain* of a computation graph is every combination of the values that its input columns take, each equally
often (a full factorial), with nothing else in which rows differ. One column alone combines with nothing: its values
are all that there are where they have no gaps, as those of a truth table have none. Numbers that are not whole are a
sample of all that lie between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Int

from scrub.claims.content import alike
from scrub.claims.resolved import Claim
from scrub.model.computation import Computation
from scrub.score.design import DOMAIN, KNOWN, SAMPLE


def design_of(claim: Claim, references: Int[np.ndarray, " row"], drawn: bool) -> str:
    """How reference rows were come by: KNOWN where they are the whole domain and nothing of them is `drawn`.

    All scored rows have to be among them: a subset is a sample, of the domain too.
    """
    if len(references) < claim.scored.sum() or not whole_domain(claim):
        return SAMPLE
    return DOMAIN if drawn else KNOWN


def whole_domain(claim: Claim) -> bool:
    """Whether the pool has every combination of what the inputs of a computation graph are, each equally often."""
    if not isinstance(claim.graph, Computation):
        return False
    table = [[row.columns[name] for name in claim.graph.inputs()] for row in claim.data.rows]
    columns = [{alike(value): value for value in column} for column in zip(*table, strict=True)]
    vary = [found.values() for found in columns if len(found) > 1]
    times = Counter(tuple(map(alike, row)) for row in table)
    unlike = len({alike(row.columns) for row in claim.data.rows}) > len(times)  # in what metric or story may read
    every = len(times) == prod(map(len, vary)) and len(set(times.values())) == 1 and not unlike
    return every and not any(map(_between, vary)) and (len(vary) > 1 or all(map(_no_gaps, vary)))


def _between(values: Collection[Any]) -> bool:
    """Whether some are numbers that are not whole."""
    return any(isinstance(value, float) and not value.is_integer() for value in values)


def _no_gaps(values: Collection[Any]) -> bool:
    """Whether they are truth values, or whole numbers one after another."""
    whole = all(isinstance(value, int) for value in values)
    return whole and max(values) - min(values) + 1 == len(values)
