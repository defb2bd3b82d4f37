"""What a claim is tested with, as its result repeats it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from scrub.score.constant import Constant


@frozen
class Trial:
    """Under which name a claim is tested, with how many draws for each row, and from which seed.

    `exact` says that every draw is enumerated instead; `controls` are those of `scrub.test`; `constant` gives the
    best constant answer, where it is known already.
    """

    name: str
    draws: int
    seed: int
    exact: bool = False
    controls: str = "shuffled"
    constant: Callable[[], Constant | None] | None = None

    @property
    def drawn(self) -> int | None:
        """The draws that were made; None where every draw was enumerated."""
        return None if self.exact else self.draws
