"""One notation for the parts of a model: reads `9.6`, `L9H6`, `a9.h6`, `A9.6`; prints `9.6`.

Every name of a component in this project is read and printed here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from attrs import evolve, field, frozen

from scrub.anatomy import table
from scrub.anatomy.part import HostPart
from scrub.anatomy.shape import Shape
from scrub.anatomy.table import TABLE, Traits
from scrub.errors import ClaimError

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_RANKS = {kind: rank for rank, kind in enumerate(TABLE)}
_END = 10**6  # what stands after all layers
_MOST = 60  # letters of a name that is shown


def natural(component: Component) -> tuple[int, int, int, str, str]:
    """What components are sorted by: their layer, their kind as the table lists it, their number in it."""
    layer = -1 if component.layer is None else component.layer
    last = _END if component.traits.is_output else layer
    part = component.part.canonical if component.part else ""
    return last, _RANKS[component.kind], component.unit or 0, component.name, part


@frozen(order=False, cache_hash=True)
class Component:
    """One part of a model: a head, an MLP, a layer's attention, a residual stream, a node of a graph.

    `kind` is a word of `scrub.anatomy.table`; `layer` and `unit` (the head, or the neuron) count from 0; `name` is
    set for nodes of a computation graph alone. `part` is what of it is meant, where that is not the whole.
    """

    kind: str
    layer: int | None = None
    unit: int | None = None
    name: str = field(default="")
    part: HostPart | None = None

    @classmethod
    def for_head(cls, layer: int, head: int) -> Component:
        return cls("head", layer, head)

    @classmethod
    def for_mlp(cls, layer: int) -> Component:
        return cls("mlp", layer)

    @classmethod
    def for_attn(cls, layer: int) -> Component:
        return cls("attn", layer)

    @classmethod
    def for_node(cls, name: str) -> Component:
        """A node of a computation graph."""
        return cls("node", name=name)

    @property
    def traits(self) -> Traits:
        return TABLE[self.kind]

    @property
    def host(self) -> Component:
        """The component that a part belongs to: the head of a query; itself where it is no part."""
        host = self.traits.host
        return Component(host, self.layer, self.unit if TABLE[host].by_unit else None) if host else self.whole

    @property
    def whole(self) -> Component:
        """The same without its code: the query of which it is a subspace."""
        return evolve(self, part=None) if self.part else self

    @property
    def is_part(self) -> bool:
        """Whether there is more to its host than it: a neuron, a query, a subspace, latents."""
        return self.part is not None or bool(self.traits.host)

    @property
    def has_parts(self) -> bool:
        """Whether codes can read of it."""
        traits = self.traits
        return self.part is None and not (traits.scalar or traits.is_output or traits.is_node)

    @property
    def array(self) -> tuple[str, int]:
        """The array of a pass that holds what it writes, and its layer: a head's z, else the vector itself.

        A part has an array of its own, of the numbers that its code reads.
        """
        return self.canonical if self.is_part else self.traits.array, self.layer or 0

    @property
    def taken(self) -> list[int] | None:
        """Which heads of its array it is; None where the array is it."""
        return [self.unit or 0] if self.traits.by_unit and not self.is_part else None

    @property
    def canonical(self) -> str:
        """Its name, in which a part is told by its digest and not by what somebody called it."""
        return f"{self.whole}[{self.part.canonical}]" if self.part else str(self)

    def heads(self, shape: Shape) -> list[int]:
        """The heads of its layer that it consists of; none for what does not attend."""
        if not self.traits.attends:
            return []
        return [self.unit or 0] if self.traits.by_unit else list(range(shape.n_heads))

    def __str__(self) -> str:
        host = self.traits.form.format(layer=self.layer, unit=self.unit, name=self.name)
        return f"{host}[{self.part}]" if self.part else host

    def __lt__(self, other: Component) -> bool:
        return natural(self) < natural(other)


def in_order(components: Iterable[Component]) -> list[Component]:
    """Sorted, by a key that is made of each once: many are sorted some ten times as fast."""
    return sorted(components, key=natural)


EMBED, POS, LOGITS = Component("embed"), Component("pos"), Component("logits")


def heads_of(layer: int, shape: Shape) -> tuple[Component, ...]:
    """All heads of a layer."""
    return tuple(Component.for_head(layer, unit) for unit in range(shape.n_heads))


def parse_component(text: str, *, parts: bool = False) -> Component:
    """The component called `text` in any of the field's notations.

    Raises ClaimError when it is none: `9.6`, `L9H6`, `a9.h6`, `A9.6`, `mlp 3`, `m3`, `attn 3`, `resid 3`,
    `embed`, `pos`, `logits`; among `parts` also `mlp 5.1003` and `9.6.q`.
    """
    found = table.read(text.strip())
    if found is None or (TABLE[found[0]].host and not parts):
        long = " No model has numbers of so many digits." if re.search(r"[0-9]{10}", text) else ""
        described = repr(text) if len(text) <= _MOST else f"{text[:_MOST]!r} ..."
        raise ClaimError(
            f"{described} names no component. Heads are written 9.6 (also L9H6, a9.h6, A9.6); others are "
            f"mlp 3, attn 3, resid 3, embed, pos and logits.{long}"
        )
    return Component(*found)


def parse_heads(text: str) -> tuple[Component, ...]:
    """Heads separated by spaces or commas, in order of layer and head; a repeated head is an error."""
    found: list[Component] = []
    for word in _words(text, "heads"):
        component = parse_component(word)
        if not component.traits.is_head:
            raise ClaimError(f"{word!r} is not a head. Heads are written 9.6 (also L9H6, a9.h6, A9.6).")
        found.append(component)
    return _distinct(found, text)


def parse_neurons(text: str) -> tuple[Component, ...]:
    """Neurons of MLPs separated by spaces or commas: `5.1003 5.204`, also with their word (`mlp 5.1003`)."""
    bare = re.sub(r"\b(mlps?|m)[ _]?(?=\d)", "", text) if isinstance(text, str) else text  # pyright: ignore[reportUnnecessaryIsInstance]
    found: list[Component] = []
    for word in _words(bare, "neurons"):
        match = table.read(f"mlp {word}")
        if match is None or not TABLE[match[0]].scalar:
            raise ClaimError(f"{word!r} is no neuron. Neurons are written 5.1003, the layer of their MLP first.")
        found.append(Component(*match))
    return _distinct(found, text)


def parse_channels(channel: str, text: str) -> tuple[Component, ...]:
    """What heads make of one of their channels, `9.6 9.9`, also as they are printed (`9.6.q`)."""
    bare = text.replace(f".{channel}", "") if isinstance(text, str) else text  # pyright: ignore[reportUnnecessaryIsInstance]
    return tuple(Component(channel, head.layer, head.unit) for head in parse_heads(bare))


def parse_layers(kind: str, layers: str | int) -> tuple[Component, ...]:
    """Components of one kind: `3`, `"3 5"`, `"0-3"`, also with the kind's own word (`"mlp 3"`)."""
    found: list[Component] = []
    short = "|m" if TABLE[kind].local else ""
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
    return _distinct([Component.for_node(word) for word in _words(text, "nodes")], text)


def print_components(components: Iterable[Component], written: Callable[[Component], str] = str) -> str:
    """The names, separated by spaces, heads first written as `9.6 9.9`: what the parsers read back."""
    return ", ".join(_runs(sorted(components), written))


def _runs(components: list[Component], written: Callable[[Component], str]) -> list[str]:
    """Names without a word of their own stand together."""
    bare = " ".join(written(c) for c in components if not c.traits.has_word)
    return ([bare] if bare else []) + [written(c) for c in components if c.traits.has_word]


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
