"""The model graph: which component writes what, and which channel reads it. No torch, no weights.

A transformer is known here by its `Shape` alone, so that a claim can be checked and planned where nothing
can be downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import field, frozen

from scrub.anatomy.names import EMBED, POS, Component, heads_of, parse_component
from scrub.anatomy.shape import Shape
from scrub.errors import ClaimError


@frozen
class TransformerGraph:
    """The model graph of a transformer. Components write at a time, channels read all written before."""

    name: str
    shape: Shape
    sequence: bool = field(default=True, init=False)

    @property
    def causal(self) -> bool:
        return self.shape.causal

    def is_output(self, component: Component) -> bool:
        return component.traits.is_output

    def inputs(self) -> tuple[str, ...]:
        """The columns that the model itself reads: none, a transformer reads tokens."""
        return ()

    def has(self, component: Component) -> bool:
        traits, layer = component.traits, component.layer
        if not traits.layered:
            return traits.layers(self.shape) > 0 and not self._misfit(component)
        inside = _within(layer, traits.layers(self.shape))
        there = inside and (not traits.by_unit or _within(component.unit, traits.units(self.shape)))
        return there and not self._misfit(component)

    def missing(self, component: Component) -> tuple[str, str]:
        """What is wrong with a component that does not exist, and the nearest one that does."""
        shape = self.shape
        last, layer = shape.n_layers - 1, min(component.layer or 0, shape.n_layers - 1)
        traits = component.traits
        if component.part is not None and self.has(component.whole):
            return self._misfit(component), str(component.whole)
        if component.part is not None or (traits.host and not self.has(component.host)):
            return self.missing(component.whole if component.part else component.host)
        if traits.scalar:
            unit = traits.units(shape) - 1
            return f"{self.name} has neurons {layer}.0 to {layer}.{unit}", f"mlp {layer}.{unit}"
        if traits.is_head and _within(component.layer, shape.n_layers):
            unit = shape.n_heads - 1
            return f"{self.name} has heads {layer}.0 to {layer}.{unit}", f"{layer}.{unit}"
        if traits.is_head:
            unit = min(component.unit or 0, shape.n_heads - 1)
            return f"{self.name} has layers 0 to {last}", f"{last}.{unit}"
        if traits.local and not traits.layers(shape):
            return f"{self.name} has attention only, no MLPs", f"attn {layer}"
        if traits.given:
            return f"{self.name} has no learned position embedding ({shape.positions} positions)", "embed"
        if traits.is_node:
            return f"{self.name} is a transformer; nodes(...) names nodes of a computation graph", "heads"
        top = max(last, traits.layers(shape) - 1)
        return f"{self.name} has {component.kind} 0 to {top}", f"{component.kind} {top}"

    def _misfit(self, component: Component) -> str:
        """Why a code does not fit what its host writes; empty where it does, or where there is none."""
        if component.part is None:
            return ""
        of_channel = component.traits.is_channel
        width, into = (self.shape.d_head, "into its head") if of_channel else (self.shape.d_model, "into the stream")
        if component.part.width != width:
            rows = f"{component.part} has rows of {component.part.width} numbers"
            of = f", of {component.part.model}," if component.part.model else ","
            return f"{rows}{of} and {component.whole} writes {width} {into}"
        return ""

    def channels(self, component: Component) -> tuple[str, ...]:
        return component.traits.channels

    def written(self, component: Component) -> int:
        """The moment at which a component writes."""
        return component.traits.writes(component.layer or 0, self.shape)

    def read(self, component: Component) -> int:
        """The moment at which a component reads: it sees all that was written at an earlier one."""
        return component.traits.reads(component.layer or 0, self.shape)

    def feeds(self, writer: Component, reader: Component, channel: str) -> bool:
        """Whether `channel` of `reader` reads, directly, what `writer` writes."""
        if writer.traits.is_channel:  # read by its own head alone, through itself
            return channel == writer.kind and reader.whole == writer.host
        return not writer.traits.is_output and self.written(writer) < self.read(reader)

    def carries(self, writer: Component, reader: Component, channel: str, passed: frozenset[Component]) -> bool:
        """Whether a path through the passed components can move a value from one position to another.

        One passed head between writer and reader suffices, and is needed: MLPs stay at their position.
        """
        return not writer.traits.is_channel and any(
            self.feeds(writer, inner, "v") and self.feeds(inner, reader, channel)
            for inner in passed
            if inner.traits.attends
        )

    def order(self, component: Component) -> int:
        return self.read(component)

    def atoms(self, component: Component) -> frozenset[Component]:
        """The finest components in this one: heads for `attn l`, all writers before for `resid l`.

        A part is one by itself, and none of those of its host.
        """
        if component.is_part:
            return frozenset((component,))
        if component.traits.attends:
            return frozenset(Component.for_head(component.layer or 0, unit) for unit in component.heads(self.shape))
        if component.traits.is_stream and not component.traits.is_output:
            time = self.written(component)
            return frozenset(c for c in self.writers() if self.written(c) <= time)
        return frozenset((component,))

    def writers(self) -> tuple[Component, ...]:
        """Every finest component that writes into the stream."""
        found = [c for c in (EMBED, POS) if self.has(c)]
        for layer in range(self.shape.n_layers):
            mlp = Component.for_mlp(layer)
            found += [*heads_of(layer, self.shape), *([mlp] if self.has(mlp) else [])]
        return tuple(found)

    def passed(self, words: Iterable[str]) -> frozenset[Component]:
        """The components that `through=` names: `mlps`, `heads`, `all`, `mlps 0-3`, or single ones."""
        return frozenset(c for word in words for c in self._pass_word(word))

    def _pass_word(self, word: str) -> list[Component]:
        inner = [c for c in self.writers() if c.traits.inner]
        match = re.fullmatch(r"(mlps?|heads|attn|all)(?: ([0-9]{1,9})(?:-([0-9]{1,9}))?)?", word.strip())
        if match is None:
            component = _inner(word)
            if component is None or not self.has(component):
                raise ClaimError(
                    f"through={word!r} names nothing that a path can pass in {self.name}: write 'mlps', "
                    "'heads', 'all', 'mlps 0-3', or single components separated by commas."
                )
            return sorted(self.atoms(component))
        kind = {"mlps": "mlp", "mlp": "mlp", "heads": "head", "attn": "head"}.get(match[1])
        first = int(match[2]) if match[2] else 0
        last = int(match[3] or match[2]) if match[2] else self.shape.n_layers - 1
        if last >= self.shape.n_layers or first > last:
            layers = f"0 to {self.shape.n_layers - 1}"
            raise ClaimError(f"through={word!r} names no layers of {self.name}, which has layers {layers}.")
        return [c for c in inner if kind in (None, c.kind) and first <= (c.layer or 0) <= last]


def _inner(word: str) -> Component | None:
    """A head, an MLP or a layer's attention, or None for what a path cannot pass."""
    try:
        component = parse_component(word)
    except ClaimError:
        return None
    return component if component.traits.inner or component.traits.attends else None


def _within(index: int | None, size: int) -> bool:
    return index is not None and 0 <= index < size
