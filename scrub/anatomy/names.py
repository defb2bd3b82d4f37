"""One notation for the parts of a model: reads `9.6`, `L9H6`, `a9.h6`, `A9.6`; prints `9.6`.

Every name of a component in this project is read and printed here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import field, frozen

from scrub.errors import ClaimError

_HEAD = re.compile(r"(?:[aA]|[lL])?(\d+)(?:\.[hH]?|[hH])(\d+)")
_LAYERED = re.compile(r"(mlp|attn|resid)[ _]?(\d+)|m(\d+)")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_SINGLE = ("embed", "pos", "logits")
_KIND_ORDER = ("embed", "pos", "resid", "attn", "head", "mlp", "logits", "node")


def _natural(component: Component) -> tuple[int, int, int, str]:
    layer = -1 if component.layer is None else component.layer
    last = 10**6 if component.kind == "logits" else layer
    return last, _KIND_ORDER.index(component.kind), component.head or 0, component.name


@frozen(order=False)
class Component:
    """One part of a model: a head, an MLP, a layer's attention, a residual stream, a node of a graph.

    `kind` is one of `embed pos head attn mlp resid logits node`; `layer` and `head` count from 0;
    `name` is set for nodes of a computation graph alone.
    """

    kind: str
    layer: int | None = None
    head: int | None = None
    name: str = field(default="")

    def __str__(self) -> str:
        if self.kind == "head":
            return f"{self.layer}.{self.head}"
        if self.kind == "node":
            return self.name
        return self.kind if self.layer is None else f"{self.kind} {self.layer}"

    def __lt__(self, other: Component) -> bool:
        return _natural(self) < _natural(other)


def parse_component(text: str) -> Component:
    """The component called `text` in any of the field's notations.

    Raises ClaimError when it is none: `9.6`, `L9H6`, `a9.h6`, `A9.6`, `mlp 3`, `m3`, `attn 3`, `resid 3`,
    `embed`, `pos`, `logits`.
    """
    name = text.strip()
    if name in _SINGLE:
        return Component(name)
    if match := _HEAD.fullmatch(name):
        return Component("head", int(match[1]), int(match[2]))
    if match := _LAYERED.fullmatch(name):
        return Component(match[1] or "mlp", int(match[2] or match[3]))
    raise ClaimError(
        f"{text!r} names no component. Heads are written 9.6 (also L9H6, a9.h6, A9.6); others are "
        "mlp 3, attn 3, resid 3, embed, pos and logits."
    )


def parse_heads(text: str) -> tuple[Component, ...]:
    """Heads separated by spaces or commas, in order of layer and head; a repeated head is an error."""
    found: list[Component] = []
    for word in _words(text, "heads"):
        component = parse_component(word)
        if component.kind != "head":
            raise ClaimError(f"{word!r} is not a head. Heads are written 9.6 (also L9H6, a9.h6, A9.6).")
        found.append(component)
    return _distinct(found, text)


def parse_layers(kind: str, layers: str | int) -> tuple[Component, ...]:
    """Components of one kind: `3`, `"3 5"`, `"0-3"`, also with the kind's own word (`"mlp 3"`)."""
    found: list[Component] = []
    short = "|m" if kind == "mlp" else ""
    text = re.sub(rf"\b({kind}s?{short})[ _]?(?=\d)", "", str(layers))
    for word in _words(text, kind):
        match = _RANGE.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if first > last:
            raise ClaimError(f"{word!r} is not a layer of {kind}: write {kind} layers as 3, '3 5' or '0-3'.")
        found += [Component(kind, layer) for layer in range(first, last + 1)]
    return _distinct(found, text)


def parse_nodes(text: str) -> tuple[Component, ...]:
    """Nodes of a computation graph, separated by spaces or commas."""
    return _distinct([Component("node", name=word) for word in _words(text, "nodes")], text)


def print_components(components: Iterable[Component]) -> str:
    """The names, separated by spaces, heads first written as `9.6 9.9`: what the parsers read back."""
    return ", ".join(_runs(sorted(components)))


def _runs(components: list[Component]) -> list[str]:
    heads = " ".join(str(c) for c in components if c.kind in ("head", "node"))
    others = [str(c) for c in components if c.kind not in ("head", "node")]
    return ([heads] if heads else []) + others


def _words(text: str, kind: str) -> list[str]:
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ClaimError(f"{text!r} names no {kind}: write a string, because as a number 9.10 would be 9.1.")
    words = text.replace(",", " ").split()
    if not words:
        raise ClaimError(f"no {kind} are named in {text!r}.")
    return words


def _distinct(found: list[Component], text: str) -> tuple[Component, ...]:
    repeated = sorted({str(c) for c in found if found.count(c) > 1})
    if repeated:
        raise ClaimError(f"{', '.join(repeated)} is named twice in {text!r}.")
    return tuple(sorted(found))
