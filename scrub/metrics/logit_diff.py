"""How much larger the logit of the first column's token is than that of the second's.

Of several tokens in a row it is the log of their summed exponentials, `mean(column)` their mean logit, `max(column)`
the largest.
"""

from __future__ import annotations

from torch import Tensor

from scrub.metrics import Formula

WORDS = {"columns": ("a", "b"), "better": "higher", "unit": "logits", "place": 2, "reduces": True}


def few(first: Tensor, second: Tensor) -> Tensor:
    return first - second


FORMULA = Formula(few=few)
