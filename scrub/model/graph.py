"""The model graph: which component writes what, and which channel reads it. No torch, no weights.

A transformer is known here by its `Shape` alone, so that a claim can be checked and planned where nothing
can be downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import field, frozen

from scrub.claims.names import Component, parse_component
from scrub.errors import ClaimError

ATTENTION_CHANNELS = ("q", "k", "v")


@frozen
class Shape:
    """The numbers of a transformer that a claim is checked against.

    `positions` is `learned`, `rotary` or `none`; `d_mlp` is 0 for an attention-only model; `parallel` models
    let attention and MLP of a layer read the same stream; `causal` is False for bidirectional attention; MLPs that
    are `gated` have a third matrix. `family` is what the model calls itself: nothing is decided by it.
    """

    family: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    positions: str = "learned"
    parallel: bool = False
    causal: bool = True
    gated: bool = False


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
        return component.kind == "logits"

    def inputs(self) -> tuple[str, ...]:
        """The columns that the model itself reads: none, a transformer reads tokens."""
        return ()

    def has(self, component: Component) -> bool:
        shape, layer = self.shape, component.layer
        match component.kind:
            case "embed" | "logits":
                return True
            case "pos":
                return shape.positions == "learned"
            case "head":
                return _within(layer, shape.n_layers) and _within(component.head, shape.n_heads)
            case "attn":
                return _within(layer, shape.n_layers)
            case "mlp":
                return _within(layer, shape.n_layers) and shape.d_mlp > 0
            case "resid":
                return _within(layer, shape.n_layers + 1)
            case _:
                return False

    def missing(self, component: Component) -> tuple[str, str]:
        """What is wrong with a component that does not exist, and the nearest one that does."""
        shape = self.shape
        last, layer = shape.n_layers - 1, min(component.layer or 0, shape.n_layers - 1)
        match component.kind:
            case "head" if _within(component.layer, shape.n_layers):
                head = shape.n_heads - 1
                return f"{self.name} has heads {layer}.0 to {layer}.{head}", f"{layer}.{head}"
            case "head":
                head = min(component.head or 0, shape.n_heads - 1)
                return f"{self.name} has layers 0 to {last}", f"{last}.{head}"
            case "mlp" if shape.d_mlp == 0:
                return f"{self.name} has attention only, no MLPs", f"attn {layer}"
            case "pos":
                return f"{self.name} has no learned position embedding ({shape.positions} positions)", "embed"
            case "node":
                return f"{self.name} is a transformer; nodes(...) names nodes of a computation graph", "heads"
            case _:
                top = last + 1 if component.kind == "resid" else last
                return f"{self.name} has {component.kind} 0 to {top}", f"{component.kind} {top}"

    def channels(self, component: Component) -> tuple[str, ...]:
        return ATTENTION_CHANNELS if component.kind in ("head", "attn") else ("input",)

    def written(self, component: Component) -> int:
        """When a component writes: embed -1; attention of layer l at 2l, MLP at 2l + 1, resid l at 2l - 1."""
        layer = component.layer or 0
        match component.kind:
            case "embed" | "pos":
                return -1
            case "head" | "attn":
                return 2 * layer
            case "mlp":
                return 2 * layer + 1
            case "resid":
                return 2 * layer - 1
            case _:
                return 2 * self.shape.n_layers + 1

    def read(self, component: Component) -> int:
        """When a component reads: it sees all that was written at an earlier time."""
        layer = component.layer or 0
        match component.kind:
            case "embed" | "pos":
                return -1
            case "head" | "attn" | "resid":
                return 2 * layer
            case "mlp":
                return 2 * layer + (0 if self.shape.parallel else 1)
            case _:
                return 2 * self.shape.n_layers

    def feeds(self, writer: Component, reader: Component, channel: str) -> bool:
        """Whether `channel` of `reader` reads, directly, what `writer` writes."""
        return writer.kind != "logits" and self.written(writer) < self.read(reader)

    def carries(self, writer: Component, reader: Component, channel: str, passed: frozenset[Component]) -> bool:
        """Whether a path through the passed components can move a value from one position to another.

        One passed head between writer and reader suffices, and is needed: MLPs stay at their position.
        """
        return any(
            self.feeds(writer, inner, "v") and self.feeds(inner, reader, channel)
            for inner in passed
            if inner.kind == "head"
        )

    def order(self, component: Component) -> int:
        return self.read(component)

    def atoms(self, component: Component) -> frozenset[Component]:
        """The finest components in this one: heads for `attn l`, all writers before for `resid l`."""
        if component.kind == "attn":
            return frozenset(Component("head", component.layer, h) for h in range(self.shape.n_heads))
        if component.kind == "resid":
            time = self.written(component)
            return frozenset(c for c in self.writers() if self.written(c) <= time)
        return frozenset((component,))

    def writers(self) -> tuple[Component, ...]:
        """Every finest component that writes into the stream."""
        shape = self.shape
        found = [Component("embed")] + ([Component("pos")] if shape.positions == "learned" else [])
        for layer in range(shape.n_layers):
            found += [Component("head", layer, h) for h in range(shape.n_heads)]
            found += [Component("mlp", layer)] if shape.d_mlp else []
        return tuple(found)

    def passed(self, words: Iterable[str]) -> frozenset[Component]:
        """The components that `through=` names: `mlps`, `heads`, `all`, `mlps 0-3`, or single ones."""
        return frozenset(c for word in words for c in self._pass_word(word))

    def _pass_word(self, word: str) -> list[Component]:
        inner = [c for c in self.writers() if c.kind in ("head", "mlp")]
        match = re.fullmatch(r"(mlps?|heads|attn|all)(?: (\d+)(?:-(\d+))?)?", word.strip())
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
    return component if component.kind in ("head", "mlp", "attn") else None


def _within(index: int | None, size: int) -> bool:
    return index is not None and 0 <= index < size
