"""One file a section of a claim's page: a file here is a section, and nothing else lists it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from scrub.claims.problems import at_line
from scrub.claims.wording import SECTIONS
from scrub.errors import PlugInError
from scrub.report.page.blocks import Block, Part, part

__path__ = SECTIONS.path


@frozen
class StoredPicture:
    """What a run stores beside a result: the claim's digest, its figure as data, tree, sites, edges, and words."""

    digest: str
    figure: dict[str, Any]
    tree: str
    places: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    told: dict[str, Any] = field(factory=dict)


@frozen
class StoredClaim:
    """A result in its JSON form, what is drawn of it, and what was asked besides the claim's name."""

    result: Mapping[str, Any]
    drawn: StoredPicture
    command: str


@frozen
class ClaimSection:
    """Blocks under a title; it is left out where there are none, or all are None. `place` orders the sections."""

    title: str
    blocks: Callable[[StoredClaim], Sequence[Block | None]]
    place: float = 99


def parts_of(stored: StoredClaim) -> tuple[Part, ...]:
    """The sections of a claim. Raises PlugInError for one that was plugged in and fails."""
    found = [(name, SECTIONS.load(__name__, name, ClaimSection)) for name in SECTIONS.names()]
    found.sort(key=lambda pair: pair[1].place)
    return tuple(one for name, section in found for one in part(section.title, *_blocks(name, section, stored)))


def _blocks(name: str, section: ClaimSection, stored: StoredClaim) -> Sequence[Block | None]:
    try:
        return section.blocks(stored)
    except Exception as error:
        if SECTIONS.ours(name):
            raise
        failed = f"its file raised {type(error).__name__}: {error}{at_line(error)}"
        raise PlugInError(f"report section {name!r}: {failed}") from error
