"""Some calls, and what circuits are run from on them."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from jaxtyping import Int
from torch import Tensor

from scrub.anatomy.positions import Slot
from scrub.circuit.values import Values


@frozen(eq=False)
class CallBlock:
    """Some calls, their own values and their ablated ones, aligned with them.

    `still` says that the ablated ones are one run of the model: recomputed from themselves, they are what they are.
    """

    calls: Int[np.ndarray, " n"]
    lengths: Int[Tensor, " n"]
    answer: Int[Tensor, " n"]
    slots: dict[Slot, Int[Tensor, " n"]]
    own: Values
    ablated: Values
    still: bool

    @property
    def shape(self) -> tuple[int, int]:
        return self.own.embed.shape[0], self.own.embed.shape[1]

    @property
    def located(self) -> tuple[dict[Slot, Int[np.ndarray, " n"]], Int[np.ndarray, " n"], int]:
        """Slots and the answer as the host counts them, and how long the rows are."""
        return {slot: at.cpu().numpy() for slot, at in self.slots.items()}, self.answer.cpu().numpy(), self.shape[1]

    @property
    def bytes(self) -> int:
        sides = (self.own, self.ablated)
        arrays = [a for side in sides for a in (*side.z, *side.mlp, *side.resid, *side.mid)]
        return sum(a.numel() * a.element_size() for a in arrays)
