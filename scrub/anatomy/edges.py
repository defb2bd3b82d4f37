"""The parts of a circuit: components and edges, everywhere or at a named position.

An edge says that a channel of its receiver reads what its sender writes: `7.3 -> 9.9.q`, `embed -> mlp 0`,
`9.9 -> logits`, in a computation graph `h1 -> h2`. A position (`5.5 -> 7.3.k @ S2`) is the place in the stream
where the value is written and read; for keys and values that is the position attended to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

from attrs import frozen

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component, natural, parse_component
from scrub.anatomy.positions import Slot, parse_slots, split_place
from scrub.anatomy.table import CHANNELS, ONE_CHANNEL, is_single
from scrub.errors import ClaimError, nearest

_WORDS = ("head", "heads", "attn", "mlp", "mlps", "resid", "embed", "pos", "logits")
_CHANNEL = re.compile(r"(?P<name>.+?)(?:\.(?P<dot>[qkv])|\s*<(?P<angle>[qkv])>)", re.IGNORECASE)
_OF_CHANNEL = re.compile(r"(?P<name>.+\.[qkv])\.input", re.IGNORECASE)
_CODED = re.compile(r"[^\[\]]+\[[^\[\]]+\]")  # 9.9[U], resid 8[77 1250]
_WRONG_CHANNEL = re.compile(r"(?P<name>[aAlL]?\d+(?:\.[hH]?|[hH])\d+)\.?<?(?P<channel>[^\W\d_]+)>?")


@frozen(order=False)
class Node:
    """A component, at a named position or (None) at every position."""

    component: Component
    at: Slot | None = None

    def __str__(self) -> str:
        return _placed(str(self.component), self.at)

    def __lt__(self, other: Node) -> bool:
        return _order(self) < _order(other)


@frozen(order=False, cache_hash=True)
class Edge:
    """What `channel` of `receiver` reads of `sender`, at a named position or (None) at every position."""

    sender: Component
    receiver: Component
    channel: str = "input"
    at: Slot | None = None

    def __str__(self) -> str:
        return _placed(f"{self.sender} -> {channel_name(self.receiver, self.channel)}", self.at)

    def __lt__(self, other: Edge) -> bool:
        return _order(self) < _order(other)


Part = Node | Edge
SomePart = TypeVar("SomePart", bound=Part)


@frozen
class Parts:
    """Parts as they were read, with what stands beside them: sets of them by role, and sizes of their model."""

    listed: tuple[Part, ...] = ()
    roles: tuple[tuple[str, frozenset[Part]], ...] = ()
    made_for: tuple[tuple[str, int], ...] = ()


def channel_name(receiver: Component, channel: str) -> str:
    """`9.9.q`; the one channel of a component that has no other is not written, nor a graph's argument.

    `9.9.q.input` is what the query of 9.9 reads where it is a component of its own.
    """
    told = receiver.traits.attends or (receiver.traits.is_channel and receiver.part is None)
    return f"{receiver}.{channel}" if told else str(receiver)


def _placed(name: str, at: Slot | None) -> str:
    return name if at is None else f"{name} @ {at}"


def _order(part: Part, place: Callable[[Component], object] = lambda component: component) -> tuple[object, ...]:
    """What parts are sorted by, given what components are."""
    at = "" if part.at is None else str(part.at)
    if isinstance(part, Node):
        return place(part.component), at
    return place(part.receiver), part.channel, place(part.sender), at


def parts_in_order(parts: Iterable[SomePart]) -> tuple[SomePart, ...]:
    """Sorted, by a key that is made of each component once: all edges of a model are sorted ten times as fast."""
    place = cache(natural)
    return tuple(sorted(parts, key=lambda part: _order(part, place)))


def parse_parts(names: str | Iterable[str], graph: ModelGraph | None = None) -> tuple[Part, ...]:
    """The parts that names stand for, separated by commas or semicolons; heads alone also by spaces.

    Raises ClaimError for what is no name, with every problem, and where nothing is named.
    """
    several = not isinstance(names, str) and isinstance(names, Iterable)  # pyright: ignore[reportUnnecessaryIsInstance]
    given: list[Any] = list(names) if several else [names]
    strange = [name for name in given if not isinstance(name, str)]
    if strange:
        raise ClaimError(f"{strange[0]!r} is no name of a part: write text, such as '9.6 @ END'.")
    texts = [text for name in given for text in _split(name)]
    found, problems = list[Part](), list[str]()
    for text in texts:
        try:
            found += parse_part(text, graph)
        except ClaimError as error:
            problems.append(str(error))
    if problems:
        raise ClaimError("\n".join(problems))
    if not found:
        raise ClaimError("an empty circuit: name at least one component or edge.")
    return tuple(found)


def _split(text: str) -> list[str]:
    no_comma(text)
    found = list[str]()
    for piece in text.replace(";", ",").replace("\n", ",").split(","):
        body, place = split_place(piece)
        words = body.split()
        heads = "->" not in body and len(words) > 1 and not words[0].isalpha()
        found += (
            [f"{word} @ {place}" if place else word for word in words] if heads else [piece] * bool(piece.strip())
        )
    return [text.strip() for text in found]


def parse_part(text: str, graph: ModelGraph | None = None) -> tuple[Part, ...]:
    """The part called `text`, one for each of its positions; an edge into a head without a channel is three.

    From a query, key or value it is one (`9.6.q -> 9.6`): its head alone reads it, and through that channel.

    Heads in any notation (`9.6`, `L9H6`, `a9.h6`, `A9.6`), channels as `9.6.q` or `a9.h6<q>`. With a
    computation `graph`, names are its nodes. Raises ClaimError.
    """
    body, place = split_place(text)
    slots = [None if slot.name == "all" else slot for slot in parse_slots(place)] if place else [None]
    if "->" not in body:
        return tuple(Node(component_of(body, graph), at) for at in slots)
    sender, _, receiver = body.partition("->")
    if "->" in receiver:
        raise ClaimError(
            f"{text!r} is a path, and a circuit has edges, with one arrow each; patch_paths takes paths."
        )
    found, channels = _receiver(receiver, graph, sender.strip())
    source = component_of(sender, graph)
    channels = (source.kind,) if source.traits.is_channel and len(channels) > 1 else channels
    return tuple(Edge(source, found, channel, at) for channel in channels for at in slots)


def component_of(text: str, graph: ModelGraph | None) -> Component:
    """The component called `text`. Raises ClaimError with the accepted forms and the name that is nearest."""
    if graph is not None and not graph.sequence:
        return Component.for_node(text.strip())
    if _CODED.fullmatch(text.strip()):
        raise ClaimError(
            f"{text.strip()!r}: directions and latents are arrays, which no name brings: take the circuit of a "
            "claim that has them, or write it in Python, Node(component)."
        )
    try:
        return parse_component(text.strip(), parts=True)
    except ClaimError as error:
        near = near_name(text.strip(), graph)
        raise ClaimError(f"{error} Did you mean {near!r}?" if near else str(error)) from None


def no_comma(text: str) -> None:
    """Raises ClaimError for `9,9`, in which a comma would separate two names."""
    if match := re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", text):
        raise ClaimError(
            f"{text.strip()!r} names no component: heads are written with a point, {match[1]}.{match[2]}."
        )


def near_name(text: str, graph: ModelGraph | None) -> str | None:
    """The good name nearest to one that cannot be read: its word if misspelt, its numbers as layer and head."""
    numbers = re.findall(r"(?<!\d)[0-9]{1,9}(?!\d)", text)
    spelt = re.match(r"[^\W\d_]+", text)
    word = nearest(spelt[0].lower(), _WORDS) if spelt else "head"
    if word is not None and is_single(word):
        found = word
    elif word is None or not 1 <= len(numbers) <= 2:
        return None
    elif len(numbers) == 2:
        found = f"{int(numbers[0])}.{int(numbers[1])}"
    else:  # one number is a layer
        found = f"{'attn' if word.startswith('head') else word.removesuffix('s')} {int(numbers[0])}"
    component = parse_component(found)
    return found if graph is None or graph.has(component) else graph.missing(component)[1]


def _receiver(text: str, graph: ModelGraph | None, sender: str) -> tuple[Component, tuple[str, ...]]:
    if graph is not None and not graph.sequence:
        return Component.for_node(text.strip()), (sender,)
    if match := _OF_CHANNEL.fullmatch(text.strip()):
        return component_of(match["name"].lower(), graph), ONE_CHANNEL
    match = _CHANNEL.fullmatch(text.strip())
    wrong = None if match else _WRONG_CHANNEL.fullmatch(text.strip())
    if wrong:
        near = nearest(wrong["channel"].lower(), (*CHANNELS, "query", "key", "value"))
        good = f"{wrong['name']}.{near[0] if near else 'q'}"
        raise ClaimError(f"{text.strip()!r} names no component: a head has the channels q, k and v, such as {good}.")
    component = component_of(match["name"] if match else text, graph)
    if match and not component.traits.attends:
        raise ClaimError(f"{text.strip()!r}: {component} has one channel, its input; only heads have q, k and v.")
    if match:
        return component, ((match["dot"] or match["angle"]).lower(),)
    return component, component.traits.channels
