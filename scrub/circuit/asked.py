"""What judging and searching are told beside their bench: of whom they speak."""

from __future__ import annotations

from typing import Any

from attrs import frozen

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
