"""How much larger the logit of the first column's token is than that of the second's."""

from __future__ import annotations

from torch import Tensor

from scrub.metrics import Formula

WORDS = {"columns": ("a", "b"), "better": "higher", "unit": "logits", "place": 2}


def few(first: Tensor, second: Tensor) -> Tensor:
    return first - second


FORMULA = Formula(few=few)
