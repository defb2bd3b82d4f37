"""What the figure of a claim shows, as plain values: boxes at levels and positions, links between them, words.

A run stores these, and its page draws them anew: what is stored is never put into a page as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from attrs import field, frozen
from attrs.validators import deep_iterable, instance_of, optional

from scrub.anatomy.names import print_components
from scrub.anatomy.positions import Slot
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.report.drawing import Level, level_of, place_of
from scrub.report.places import edge_key, kinds
from scrub.report.svg import cut

WORDS, NAME = 24, 32  # letters of a line in a box, of a name
ANSWER, READER, LEAF = "answer", "reader", "leaf"
Cell = tuple[Level, Slot | None]
Stand = tuple[Slot | None, str, PlacedSite]  # where a variable stands
_text, _texts = instance_of(str), deep_iterable(instance_of(str))


def _tuple(found: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(found)


@frozen
class FigureBox:
    """A variable where it stands: one box for each site and position. `told` is what hovering tells."""

    level: str = field(validator=_text)
    slot: str | None = field(validator=optional(_text))
    lines: tuple[str, ...] = field(converter=_tuple, validator=_texts)
    kind: str = field(validator=_text)
    told: str = field(validator=_text)  # the name in stored runs


@frozen
class Link:
    """The channels of a reader that read a sender, by the numbers of their boxes."""

    sender: int = field(validator=instance_of(int))
    reader: int = field(validator=instance_of(int))
    channels: tuple[str, ...] = field(converter=_tuple, validator=_texts)
    told: str = field(validator=_text)  # the name in stored runs


@frozen
class Figure:
    """Levels from the top, positions from the left; boxes level by level. `layered` where levels have names."""

    title: str = field(validator=_text)
    name: str = field(validator=_text)
    aloud: str = field(validator=_text)
    layered: bool = field(validator=instance_of(bool))
    levels: tuple[str, ...] = field(converter=_tuple, validator=_texts)
    slots: tuple[str | None, ...] = field(converter=_tuple, validator=deep_iterable(optional(_text)))
    boxes: tuple[FigureBox, ...]
    links: tuple[Link, ...]

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Figure:
        """What `attrs.asdict` made. Raises TypeError for anything else."""
        boxes = tuple(FigureBox(**box) for box in found["boxes"])
        links = tuple(Link(**link) for link in found["links"])
        words: dict[str, Any] = {**found, "boxes": boxes, "links": links}
        return cls(**words)


def figure_of(claim: Claim, described: Mapping[str, str] | None = None) -> Figure:
    """The figure of a claim; `told` adds words to boxes and links (keys of `report.places`, or a variable)."""
    cells, known = _cells(claim), described or {}
    slots = sorted(dict.fromkeys(slot for _, slot in cells), key=lambda slot: place_of(claim, slot))
    levels = sorted({level for level, _ in cells}, reverse=True)
    stands = [
        (level, (slot, name, site))
        for level in levels for slot in slots for name, site in cells.get((level, slot), [])
    ]  # fmt: skip
    boxes = tuple(_box(claim, level, stand, known) for level, stand in stands)
    links = tuple(_links(claim, [stand for _, stand in stands], known))
    title = f"{claim.hypothesis.title}: {claim.metric} on {claim.graph.name}"
    return Figure(
        title,
        claim.digest[:12],
        _aloud(claim),
        claim.graph.sequence,
        _labels(levels),
        tuple(map(_named, slots)),
        boxes,
        links,
    )


def _labels(levels: Sequence[Level]) -> tuple[str, ...]:
    return tuple(level.label for level in levels)


def _named(slot: Slot | None) -> str | None:
    return None if slot is None else str(slot)


def _cells(claim: Claim) -> dict[Cell, list[tuple[str, PlacedSite]]]:
    found: dict[Cell, list[tuple[str, PlacedSite]]] = {}
    reached = set(claim.placement.reached())
    for placed in claim.placement.placed.values():
        if placed.name not in reached:
            continue
        for site in placed.sites:
            top = max(site.site.components, key=lambda c: level_of(claim, c))
            for slot in site.site.at or (None,):
                found.setdefault((level_of(claim, top), slot), []).append((placed.name, site))
    return found


def _box(claim: Claim, level: Level, stand: Stand, described: Mapping[str, str]) -> FigureBox:
    slot, variable, site = stand
    parts = print_components(site.site.components)
    facts = [f"{variable} at {site.site}", f"{kinds(claim, variable)} different values"]
    facts += [f"{channel} reads {', '.join(parents) or 'nothing claimed'}" for channel, parents in site.reads]
    known = described.get(f"{variable} at {site.site}", described.get(variable, ""))
    kind = ANSWER if variable == claim.placement.output else READER if site.reads else LEAF
    lines = (cut(variable, NAME), *wrap(parts, WORDS))
    return FigureBox(level.label, _named(slot), lines, kind, "; ".join(facts + ([known] if known else [])))


def _links(claim: Claim, stands: Sequence[Stand], described: Mapping[str, str]) -> Iterator[Link]:
    """From the boxes of every parent to each reader, one link for the channels that read it there."""
    for reader, (slot, name, site) in enumerate(stands):
        for sender, (place, parent, source) in enumerate(stands):
            if parent not in site.parents():
                continue
            beside = claim.graph.sequence and place != slot
            channels = [c for c in site.channels_of(parent) if c in ("k", "v") or not beside]
            if channels:
                known = described.get(edge_key(name, site.site, parent, source.site), "")
                said = f"{', '.join(channels)} of {name} reads {parent}" + (f"; {known}" if known else "")
                yield Link(sender, reader, channels, said)


def _aloud(claim: Claim) -> str:
    """What a screen reader says: who stands where and reads whom."""
    parts: list[str] = []
    for name in claim.placement.reached():
        placed = claim.placement.placed[name]
        where = "; ".join(str(site.site) for site in placed.sites)
        parts.append(f"{name} at {where}" + (f", reads {', '.join(placed.parents)}" if placed.parents else ""))
    return ". ".join(parts) + "."
