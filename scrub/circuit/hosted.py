"""Parts of components in a run of circuits: what they add to a host that is not what they are.

Where a circuit names a part, its host is ablated and the part is not, or, knocked out of the model, the other way
round: what the host writes changes by `write(new) - write(old)`. Elsewhere a part is what its host is. Attention of a
layer and streams are sums of what others write: a part of them is set to what it is with all of these, or none.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from attrs import field, frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.table import MLP_SUM
from scrub.circuit.ends import is_sum, of_attention
from scrub.circuit.masked import Masks
from scrub.circuit.values import Values, stream_before
from scrub.errors import ModelError
from scrub.model.block import mlp_entering
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.layers import write
from scrub.model.weights import Transformer


@frozen(eq=False)
class HostedParts:
    """The parts that some circuits name, while these run from `start`, what is not live being `fixed`.

    `live` is what each part's code reads in the run, before anything of its host is ablated, `sums` the same of MLPs
    whose neurons' sum is normed; both are of the layer that is under way.
    """

    model: Transformer
    masks: Masks
    start: Values
    fixed: Values
    coded: tuple[CodedPart, ...]
    live: dict[Component, Tensor] = field(factory=dict[Component, Tensor], init=False)
    sums: dict[int, Tensor] = field(factory=dict[int, Tensor], init=False)

    @classmethod
    def of(cls, codes: PartCodes, masks: Masks, start: Values, fixed: Values) -> HostedParts:
        coded = tuple(codes.of(component) for component in sorted(masks.kept) if component.is_part)
        return cls(codes.model, masks, start, fixed, coded)

    def first(self, otherwise: int) -> int:
        """The first layer in which a part may change something."""
        return min([otherwise, *(part.component.layer or 0 for part in self.coded)])

    def heard(self, kind: str, layer: int, computed: Tensor) -> None:
        """An array as the run computes it, `[circuit * row, t, ...]`: what codes read of it is kept for its layer."""
        if kind == "resid_pre":
            self._let_go()
        for part in self.coded:
            if part.array == (kind, layer) and not is_sum(part.component):
                self.live[part.component] = self._by_circuit(part.of_array(computed))
            elif kind == "z" and of_attention(part.component) and part.component.layer == layer:
                self.live[part.component] = self._by_circuit(self._of_heads(part, computed))
        if kind == MLP_SUM and self._neurons(layer):
            self.sums[layer] = self._by_circuit(computed)

    def put(
        self, kind: str, layer: int, written: Float[Tensor, "circuit row t d"]
    ) -> Float[Tensor, "circuit row t d"]:
        """What is written, with what parts of it change: by embeddings, heads of a layer, an MLP; and a stream."""
        for part in self._of(kind, layer):
            change = self._set(part, layer, written) if is_sum(part.component) else self._change(part)
            written = written + change
        if kind != "mlp_out":
            return written
        neurons = self._neurons(layer)
        found = self._with_neurons(layer, neurons, written) if neurons else written
        self._let_go()  # runs of other circuits go through the layer before this one goes on
        return found

    def _let_go(self) -> None:
        self.live.clear()
        self.sums.clear()

    def _neurons(self, layer: int) -> list[CodedPart]:
        return [part for part in self.coded if part.array == ("neurons", layer)]

    def _of(self, kind: str, layer: int) -> Iterable[CodedPart]:
        """Heads first: the sum of what they write is what a part of all of them is of."""
        arrays = {"attn_out": ("z", "attn_out"), "mlp_out": ("mlp_input", "mlp_out")}.get(kind, (kind,))
        return [part for array in arrays for part in self.coded if part.array == (array, layer)]

    def _by_circuit(self, value: Tensor) -> Tensor:
        return value.to(self.model.device).unflatten(0, (self.masks.circuits, -1))

    def _of_heads(self, part: CodedPart, z: Float[Tensor, "*row t h e"]) -> Float[Tensor, "*row t k"]:
        return of_heads(self.model, part, z)

    def _change(self, part: CodedPart) -> Float[Tensor, "circuit row t d"]:
        """What a host writes more where it is ablated and the part is not, or less where only the part is."""
        component, masks, host = part.component, self.masks, part.component.host
        old, own = self.fixed.more[component.array], self.start.more[component.array]
        live = own.expand(masks.circuits, *own.shape) if host.traits.given else self.live[component]
        there = masks.named(component) & (masks.of(host) == masks.inverted)
        moved = (masks.as_held(component, live, own) - old) * there[..., None]
        return part.code.write(-moved if masks.inverted else moved)

    def _with_neurons(self, layer: int, neurons: list[CodedPart], written: Tensor) -> Tensor:
        """Where their sum is normed, the norm is that of the sum with what they change; what none touches stays."""
        block, host = self.model.blocks[layer], neurons[0].component.host
        change = torch.stack([self._change(part) for part in neurons]).sum(0)
        if block.post_mlp is None:
            return written + change
        base = torch.where(self.masks.of(host)[..., None], self.sums[layer], self.fixed.more[MLP_SUM, layer])
        touched = torch.stack([self.masks.named(part.component) for part in neurons]).any(0)
        touched = touched & (self.masks.of(host) == self.masks.inverted)
        return torch.where(touched[..., None], mlp_entering(block, base + change), written)

    def _set(self, part: CodedPart, layer: int, now: Tensor) -> Tensor:
        """What brings a part of a sum to what it is with all that writes into it, or (knocked out) with none."""
        component, masks = part.component, self.masks
        if of_attention(component):
            own, old = (self._of_heads(part, side.z[layer]) for side in (self.start, self.fixed))
            wanted = old if masks.inverted else masks.as_held(component, self.live[component], own)
        else:
            wanted = part.of_array(stream_before(self.model, self.fixed if masks.inverted else self.start, layer))
        return part.code.write((wanted - part.of_array(now)) * masks.named(component)[..., None])


def of_heads(model: Transformer, part: CodedPart, z: Float[Tensor, "*row t h e"]) -> Float[Tensor, "*row t k"]:
    """What a part of attention is, given z of all heads."""
    return part.of_array(write(model.blocks[part.component.layer or 0].attn, z))


def refuse_normed_parts(model: Transformer, components: Iterable[Component]) -> None:
    """Raises ModelError for parts that are not told apart where a layer norms what it writes before that is added."""
    for part in sorted(c for c in components if c.is_part):
        block = model.blocks[min(part.layer or 0, len(model.blocks) - 1)]
        if of_attention(part) and block.post_attn is not None:
            raise ModelError(f"{part}: {model.name} norms what heads write together: name parts of its heads.")


def refuse_beside_neurons(model: Transformer, parts: Iterable[Component]) -> None:
    """Raises ModelError for parts of what an MLP writes on edges beside its neurons, where that is normed."""
    if not model.shape.post_norms:
        return
    listed = sorted(part for part in parts if part.host.traits.local)
    for neuron in (part for part in listed if part.traits.scalar):
        for other in (part for part in listed if part.host == neuron.host and not part.traits.scalar):
            raise ModelError(
                f"{neuron} and {other}: {model.name} norms what the neurons of {neuron.host} write, so that what it "
                "leaves beside both is not known: name neurons, or what comes behind the norm."
            )
