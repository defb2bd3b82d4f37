"""The rows on which a scrubbed answer is farthest from the model's, with their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from scrub.anatomy.tolerances import UNCHANGED_ROW
from scrub.claims.plain import as_dict
from scrub.claims.text import Tokenizer
from scrub.score.stories import row_text

if TYPE_CHECKING:
    from scrub.score.sample import ClaimBench, Samples

SHOWN = 5


@frozen
class WorstRow:
    """A reference row with its tokens (`token[NAME]` at a named position) and its metric: means over draws."""

    row: int
    text: str
    model: float
    scrubbed: float
    random: float

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)


def worst_rows(bench: ClaimBench, samples: Samples, tokenizer: Tokenizer | None) -> tuple[WorstRow, ...]:
    """At most five rows, by |scrubbed - model| of the row's means, largest first; none where nothing changes."""
    scrubbed, random, model = samples.columns[:, 0], samples.columns[:, 1], samples.model
    change = np.abs(scrubbed - model)
    least = UNCHANGED_ROW * abs(float(random.mean() - model.mean()))
    order = [int(i) for i in np.argsort(-change, kind="stable")[:SHOWN] if change[i] > least]
    rows = samples.references[order].tolist()
    return tuple(
        WorstRow(
            row,
            row_text(bench.claim.data.rows[row], tokenizer),
            float(model[i]),
            float(scrubbed[i]),
            float(random[i]),
        )
        for row, i in zip(rows, order, strict=True)
    )
