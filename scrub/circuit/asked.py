"""What judging and searching are told beside their bench: of whom they speak, and who listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from scrub.anatomy.names import Component


@frozen
class Origin:
    """Where a result comes from: the claim's title and what took part.

    `claimed` are the components that a claim names or passes through; both are None without a claim. `cautions` are
    what a reader must know first.
    """

    hypothesis: str | None
    provenance: dict[str, Any]
    claimed: frozenset[Component] | None = None
    cautions: tuple[str, ...] = ()


def _silent(*_: Any) -> None:
    """Nobody listens."""


@frozen
class Listener:
    """`begin` hears of each pass and how many calls it makes, `done` of calls, `ready` of what is known so far."""

    begin: Callable[[str, int], None] = field(default=_silent)
    done: Callable[[int], None] = field(default=_silent)
    ready: Callable[[Any], None] | None = None
