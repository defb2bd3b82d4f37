"""Small models that come with the tool: three trained ones and two compiled ones, with the data to claim things on.

Importing this package loads no torch; `bridge` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrub.zoo.cards import NAMES, Card, info, shape, vocabulary
from scrub.zoo.data import Row, induction_rows

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

__all__ = [
    "NAMES",
    "Card",
    "Row",
    "bridge",
    "induction_rows",
    "info",
    "shape",
    "vocabulary",
]


def bridge(name: str) -> TransformerBridge:
    """The model called `name` as a TransformerLens bridge in eval mode. Raises ModelError for an unknown name."""
    from scrub.zoo import loading  # torch takes seconds to import, and names and shapes need none

    return loading.bridge(name)
