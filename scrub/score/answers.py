"""The model's best answer among the answers that a story gives on the data."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Real
from typing import Any

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Int
from torch import Tensor

from scrub.claims.metric import Metric, predicted
from scrub.claims.resolved import Claim
from scrub.claims.setting import token_ids
from scrub.claims.text import Tokenizer, token_id
from scrub.claims.values import Value, canonical, key
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.score.metrics import as_logits

NONE = -1  # no answer of the data


@frozen(eq=False)
class Answers:
    """The distinct answers of the story over the pool, numbered; `tokens` are those of each, where logits are read.

    Logits say the answer whose tokens are the most likely ones; a number says the answer that it is nearest to, and
    any other value the one that it equals.
    """

    values: tuple[Value, ...]
    tokens: tuple[tuple[int, ...], ...] | None

    @classmethod
    def of(cls, claim: Claim, tokenizer: Tokenizer | None) -> Answers:
        """Raises ClaimError when nothing says which tokens the answers are."""
        distinct = {key(value): value for value in claim.values[claim.placement.output]}
        if isinstance(claim.metric, Metric) and isinstance(claim.graph, Computation):
            return cls(tuple(distinct.values()), None)
        known = _tokens(claim, tokenizer)
        for k, value in distinct.items():  # an answer of rows that are not scored need not stand in that column
            alone = token_id(value, tokenizer) if known and tokenizer and isinstance(value, str) else None
            if k not in known and alone is not None:
                known[k] = (alone,)
        said = [k for k in distinct if k in known]
        if not said:
            raise ClaimError(
                "interchange: none of the story's answers stands in a column of tokens, so nothing says what the "
                "model should answer: add predicts='column', with values that the story's answer takes."
            )
        return cls(tuple(distinct[k] for k in said), tuple(known[k] for k in said))

    def number(self, value: Value) -> int:
        """The number of an answer, or NONE."""
        wanted = key(value)
        return next((i for i, known in enumerate(self.values) if key(known) == wanted), NONE)

    def best(self, outputs: Any, claim: Claim) -> Int[np.ndarray, " call"]:
        """The number of the best answer of every output."""
        if self.tokens is None:
            return np.array([self._nearest(output) for output in outputs], dtype=np.int64)
        if not isinstance(outputs, Tensor):
            assert not isinstance(claim.metric, Metric)
            outputs = as_logits(outputs, claim.metric)
        scores = torch.stack([outputs[:, list(ids)].logsumexp(-1) for ids in self.tokens], dim=1)
        return scores.argmax(1).cpu().numpy()

    def _nearest(self, output: Any) -> int:
        if isinstance(output, Real | np.generic) and not isinstance(output, bool | np.bool_):
            gaps = [abs(float(output) - float(v)) if isinstance(v, Real) else np.inf for v in self.values]
            return int(np.argmin(gaps)) if np.isfinite(min(gaps)) else NONE
        try:
            return self.number(canonical(output))
        except ValueError:
            return NONE


def _tokens(claim: Claim, tokenizer: Tokenizer | None) -> dict[Hashable, tuple[int, ...]]:
    """The tokens of every value of the column that the story's answer should equal."""
    column = predicted(claim.metric, claim.options.predicts)
    if column is None:
        return {}
    found: dict[Hashable, tuple[int, ...]] = {}
    for value, ids in zip(claim.data.column(column), token_ids(claim.data, column, tokenizer), strict=True):
        found.setdefault(key(canonical(value)), tuple(dict.fromkeys(ids)))
    return found
