"""Which nodes there are in a model: those of each kind of component, and latents of dictionaries beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import field, frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.shape import Shape
from scrub.anatomy.table import TABLE
from scrub.proposals.latents import LatentNodes, Place, Values
from scrub.proposals.nodes import BEHIND_NORM, extent, kind_of, node_of


@frozen(eq=False)
class NodeSpace:
    """The nodes of a model, in arrays `[layer, unit]` for each kind; those of a dictionary are one of one layer."""

    shape: Shape
    dictionaries: Mapping[str, LatentNodes] = field(factory=dict[str, LatentNodes])

    def extent(self, kind: str) -> tuple[int, int]:
        """How many layers and units the nodes of a kind have."""
        found = self.dictionaries.get(kind)
        return extent(kind, self.shape) if found is None else (1, found.units)

    def node(self, kind: str, layer: int, unit: int) -> Component:
        found = self.dictionaries.get(kind)
        return node_of(kind, layer, unit) if found is None else found.nodes[unit]

    def nodes(self, kind: str) -> list[Component]:
        """All nodes of a kind, by layers and units."""
        layers, units = self.extent(kind)
        return [self.node(kind, layer, unit) for layer in range(layers) for unit in range(units)]

    def place(self, kind: str, layer: int) -> Place:
        """Which array of a pass the nodes lie in, or, of latents, their host.

        What `attn` writes is what enters the stream: behind the norm, where one follows what its heads write.
        """
        found = self.dictionaries.get(kind)
        if found is not None:
            return found.place
        return (BEHIND_NORM.get(kind, kind) if self.shape.post_norms else kind), layer

    def places(self, kinds: Iterable[str]) -> list[Place]:
        """The arrays of some kinds of nodes, each once."""
        return list(dict.fromkeys(self.place(kind, n) for kind in kinds for n in range(self.extent(kind)[0])))

    def index(self, node: Component) -> tuple[Place, int]:
        """Kind and layer of a node, and its unit in their array."""
        kind = kind_of(node)
        found = self.dictionaries.get(kind)
        return ((kind, node.layer or 0), node.unit or 0) if found is None else ((kind, 0), found.unit[node])

    def product(
        self, where: Place, base: Values, source: Values, gradient: Float[Tensor, "row t ..."]
    ) -> Float[Tensor, "row t unit"]:
        """What a first-order change of the nodes of a kind in a layer makes of the metric, at every position."""
        found = self.dictionaries.get(where[0])
        if found is not None:
            return found.product(base, source, gradient)
        place = self.place(*where)
        return product(where[0], source[place] - base[place], gradient)


def product(kind: str, delta: Tensor, gradient: Tensor) -> Float[Tensor, "row t unit"]:
    """The same for a change of what one kind of component writes."""
    if TABLE[kind].scalar:
        return delta * gradient
    found = (delta * gradient).sum(-1)
    return found if TABLE[kind].by_unit else found.unsqueeze(-1)
