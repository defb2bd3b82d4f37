"""What a layout of a checkpoint is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from torch import Tensor

from scrub.model.checkpoints.settings import Settings

State = Mapping[str, Tensor]


@frozen(eq=False)
class CheckpointLayout:
    """Names and shapes under which weights are stored.

    `has` is the ending of a name that only this layout has. `shows(state, settings)` gives the settings that the
    weights show, `native(state, settings)` the same weights under the names of TransformerLens' native models, and
    the settings with which these compute the same.
    """

    title: str
    has: str
    shows: Callable[[State, Settings], dict[str, Any]]
    native: Callable[[State, Settings], tuple[dict[str, Tensor], Settings]]

    def looks(self, state: State) -> bool:
        return any(name.endswith(self.has) for name in state)


def count(state: State, prefix: str) -> int:
    """How many layers there are, by the numbers that follow a prefix such as `blocks.`."""
    numbers = [name.removeprefix(prefix).partition(".")[0] for name in state if name.startswith(prefix)]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)
