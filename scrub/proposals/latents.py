"""The latents of a dictionary as nodes of a proposal, and beside them its error (Marks et al. 2024).

What the host writes is the sum of what its latents write and of the error, so that their estimates add up to that of
the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from attrs import evolve, frozen
from jaxtyping import Bool, Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.part import HostPart, what_is_left_by
from scrub.model.codes import CodedPart
from scrub.proposals.nodes import TOLD

Place = tuple[str, int]  # kind of node, layer
Values = Mapping[Place, Tensor]


@frozen(slots=False, eq=False)
class LatentNodes:
    """The latents `coded` of one host, those that are active on some row, and as the last node the error.

    The error is what all of them leave of what the host writes; `source` is where the dictionary lies.
    """

    host: Component
    coded: CodedPart
    source: str = ""

    @property
    def part(self) -> HostPart:
        assert self.coded.component.part is not None
        return self.coded.component.part

    @property
    def units(self) -> int:
        return len(self.part.indices) + 1

    @property
    def place(self) -> Place:
        """Where the host's vector is among the nodes of a pass."""
        return self.host.kind, self.host.layer or 0

    @property
    def read(self) -> Place:
        """Where what the encoder reads is: of a transcoder, the stream that its MLP reads."""
        kind, layer = self.coded.array
        return TOLD[kind], layer

    @cached_property
    def nodes(self) -> tuple[Component, ...]:
        """A component for each latent, and for the error."""
        error = evolve(what_is_left_by([self.part]), name="error")
        return tuple(evolve(self.host, part=part) for part in (*self.part.alone(), error))

    @cached_property
    def unit(self) -> Mapping[Component, int]:
        return {node: number for number, node in enumerate(self.nodes)}

    def split(self, values: Values) -> tuple[Float[Tensor, "row t k"], Float[Tensor, "row t d"]]:
        """The latents in a run, and the error there."""
        return self._split(values[self.read].detach(), values[self.place].detach())

    def _split(self, read: Tensor, written: Tensor) -> tuple[Tensor, Tensor]:
        numbers = self.coded.of_array(read)
        return numbers, written - self.coded.code.write(numbers)

    def product(
        self, base: Values, source: Values, gradient: Float[Tensor, "row t d"]
    ) -> Float[Tensor, "row t unit"]:
        """What a first-order change of each node, from base to source, makes of the metric."""
        (old, old_error), (new, new_error) = self.split(base), self.split(source)
        along = gradient @ self.coded.code.rows.T
        return torch.cat([(new - old) * along, ((new_error - old_error) * gradient).sum(-1, keepdim=True)], -1)

    def patched(
        self, written: Float[Tensor, "row t d"], read: Float[Tensor, "row t d"], source: tuple[Tensor, Tensor],
        mask: Bool[Tensor, "row t unit"],
    ) -> Float[Tensor, "row t d"]:  # fmt: skip
        """What the host writes with some nodes as they are in another run: `write(new) - write(old)` more."""
        numbers, error = self._split(read, written)
        new, new_error = source
        change = torch.where(mask[..., :-1], new - numbers, 0)
        return written + self.coded.code.write(change) + torch.where(mask[..., -1:], new_error - error, 0)
