"""What a command found so far: each result is shown and stored as it comes, and is still there after Ctrl-C."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.titles import name_of, short_name
from scrub.cli.options import Results, about, again, command_line, going_on, of_project, say
from scrub.errors import some
from scrub.storage import stored

if TYPE_CHECKING:
    from scrub.storage.directory import Run


@define
class Found:
    """Results in the order of their claims; `file` is what they are stored as in the `run`, where there is one.

    `begun` hears of the result that comes, and `again` says with which options what is left of it is asked.
    """

    run: Run | None
    file: str
    again: Callable[[Any], str] = lambda part: again()
    results: Results = field(factory=Results)
    begun: list[Any] = field(factory=list[Any])

    def __call__(self, result: Any, **beside: Any) -> None:
        """Show a result, and store it with what stands `beside` it."""
        say(f"{chr(10) if self.results else ''}{result}")
        self.results += of_project([beside | result.to_dict()])
        if self.run is not None:
            stored.save(self.run.folder, self.file, self.results, command_line())

    def of_each(self, claims: Sequence[Hypothesis], ask: Callable[[Hypothesis], Any]) -> Results:
        """What is asked of each claim in turn. Whoever breaks it off is told which claims are left."""
        for number, hypothesis in enumerate(claims):
            self.begun.clear()
            with about(hypothesis), going_on(lambda left=claims[number:]: self.kept(left)):
                self(ask(hypothesis), hypothesis=name_of(hypothesis))
        return self.results

    def kept(self, left: Sequence[Hypothesis]) -> str | None:
        """What stands above when a run is broken off, and how to go on; nothing where nothing was found."""
        if self.begun:
            return self.part(shlex.quote(name_of(left[0])), hypothesis=name_of(left[0]))
        if not self.results:
            return None
        command, where = click.get_current_context().info_name, self._where
        names = some((shlex.quote(name_of(h)) for h in left), 4)
        done = f"{len(self.results)} of {len(self.results) + len(left)} claims stand above{where}"
        last = short_name(name_of(left[0]))
        return f"{done}; {last} was not finished: go on with `scrub {command} {names}{again()}`"

    def part(self, target: str = "", **beside: Any) -> str | None:
        """Show and store the part that is known of what was broken off, and say how to go on; nothing without one."""
        if not self.begun:
            return None
        self(self.begun[-1], **beside)
        command = f"scrub {click.get_current_context().info_name} {target}".rstrip()
        return f"what was found stands above{self._where}: go on with `{command}{self.again(self.begun[-1])}`"

    @property
    def _where(self) -> str:
        return "" if self.run is None else f" and in {self.run.folder}"
