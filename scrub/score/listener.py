"""Who listens while something is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen


def _silent(*_: Any) -> None:
    """Nobody listens."""


@frozen
class Listener:
    """`begin` hears of each pass and how many calls it makes, `done` of calls, `ready` of what is known so far."""

    begin: Callable[[str, int], None] = field(default=_silent)
    done: Callable[[int], None] = field(default=_silent)
    ready: Callable[[Any], None] | None = None
