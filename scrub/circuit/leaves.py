"""What the leaves of a wiring write beyond their frozen values: inputs, senders of paths, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from jaxtyping import Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.table import MLP_SUM
from scrub.circuit.delta import at_places, component_delta
from scrub.circuit.ends import is_sum, of_attention
from scrub.circuit.hosted import of_heads
from scrub.circuit.values import Values, stream_before
from scrub.circuit.wiring import Copy
from scrub.model.codes import CodedPart, PartCodes


@frozen(eq=False)
class LeafChanges:
    """Changes from one set of values to another: of whole components and of parts."""

    codes: PartCodes
    new: Values
    old: Values

    def of(self, copy: Copy, sent: Sequence[Component], at: Int[Tensor, " n"] | None) -> Tensor:
        """What a leaf writes more, standing for each of some senders, side by side; everywhere, or `at` a place."""
        if copy.lacks_neurons and self.codes.model.shape.post_norms:
            # The norm comes later, with what is read of the neurons.
            kind = MLP_SUM, copy.component.layer or 0
            whole = at_places(self.new.more[kind] - self.old.more[kind], at)
        else:
            whole = torch.cat([self._written(component, at) for component in sent])
        return whole - sum(self._written(part, at) for part in copy.less)

    def _written(self, component: Component, at: Int[Tensor, " n"] | None) -> Tensor:
        if not component.is_part:
            return component_delta(component, self.new, self.old, self.codes.model, at)
        part = self.codes.of(component)
        new, old = (self._numbers(part, side) for side in (self.new, self.old))
        return at_places(part.code.write(new - old), at)

    def _numbers(self, part: CodedPart, side: Values) -> Tensor:
        """What a part is in one set of values."""
        component, model = part.component, self.codes.model
        layer = component.layer or 0
        if of_attention(component):
            return of_heads(model, part, side.z[layer])
        return part.of_array(stream_before(model, side, layer)) if is_sum(component) else side.more[component.array]
