"""Mixtures of experts on mixed streams: where other experts are chosen than on the frame's own row.

An engine that is not asked for it computes nothing more.
"""

from __future__ import annotations

from attrs import define, field
from jaxtyping import Bool, Float
from torch import Tensor

from scrub.anatomy.tolerances import SAME_STREAM
from scrub.model.block import experts_of
from scrub.model.experts import BlackBox
from scrub.model.weights import Transformer


@define(eq=False)
class Routing:
    """Counts positions of contexts at which an MLP of experts saw another stream than the frame's own.

    `changed` are those that went to another set of experts, of the `read` ones; of `unread` layers it is not known.
    """

    model: Transformer
    read: int = 0
    changed: int = 0
    unread: set[int] = field(factory=set[int])

    def hear(
        self, layer: int, own: Float[Tensor, "*n d"], mixed: Float[Tensor, "*n d"], real: Bool[Tensor, "*n"] | None
    ) -> None:
        """A layer's MLP is computed on a mixed stream; `real` are positions that count, None for all."""
        if layer not in mixing(self.model):
            return
        live = (mixed - own).norm(dim=-1) > SAME_STREAM * own.norm(dim=-1)
        live = live if real is None else live & real
        old, new = (experts_of(self.model.blocks[layer], x[live]) for x in (own, mixed))
        if old is None or new is None:
            self.unread.add(layer)
            return
        self.read += len(new)
        self.changed += int((old != new).any(-1).sum())


def mixing(model: Transformer) -> tuple[int, ...]:
    """The layers whose MLP is a mixture of experts."""
    boxed = ((layer, block.mlp) for layer, block in enumerate(model.blocks) if block.boxed)
    return tuple(layer for layer, mlp in boxed if isinstance(mlp, BlackBox) and mlp.mixes)
