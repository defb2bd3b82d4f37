"""In which order the steps of a program are computed, and when the value of each is freed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from attrs import frozen

from scrub.engine.plan import Leaf, Program, SiteShape, Stream


@frozen(eq=False, slots=False)
class Schedule:
    """The waves in which the steps of a program are computed."""

    program: Program

    @cached_property
    def waves(self) -> list[list[int]]:
        """Steps that wait for one another come in different waves, streams and others too."""
        # Steps stand in an order in which each comes after what it reads, so that one round gives all levels.
        level: list[int] = []
        for step in self.program.steps:
            used = _reads(step)
            level.append(1 + max((level[number] for number in used), default=-1))
        found: dict[tuple[int, bool], list[int]] = {}
        for number, step in enumerate(self.program.steps):
            found.setdefault((level[number], isinstance(step, Stream)), []).append(number)
        return [found[key] for key in sorted(found)]

    @cached_property
    def last_use(self) -> dict[int, list[int]]:
        """The steps that are read for the last time in each wave, by the wave's first step."""
        last: dict[int, int] = {}
        for wave in self.waves:
            for number in wave:
                last.update(dict.fromkeys(_reads(self.program.steps[number]), wave[0]))
        freed: dict[int, list[int]] = {}
        for used, number in last.items():
            freed.setdefault(number, []).append(used)
        return freed

    def most(self, held: Sequence[int], working: Callable[[list[int]], int] = lambda _: 0) -> int:
        """What is held at most, of the bytes of every step's value, with what a wave fills while it is computed."""
        most, now = 0, 0
        for wave in self.waves:
            now += sum(held[number] for number in wave)
            most = max(most, now + working(wave))
            now -= sum(held[number] for number in self.last_use.get(wave[0], ()))
        return most


def _reads(step: Leaf | Stream | SiteShape) -> tuple[int, ...]:
    """The steps that a step reads."""
    if isinstance(step, Stream):
        return step.sources
    return tuple(view[0] for view in step.views) if isinstance(step, SiteShape) else ()
