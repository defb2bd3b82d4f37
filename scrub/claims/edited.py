"""A claim said with other words in its story: coarser values, more that is read, tokens as columns.

What `scrub shrink` and `scrub grow` write; `.but` changes sites and settings, these change what is told.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from attrs import evolve, fields_dict, frozen

from scrub.anatomy.positions import parse_slots
from scrub.claims.code import Changes
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis, Options
from scrub.claims.interpretation import Interpretation, Variable
from scrub.claims.sites import Site
from scrub.claims.values import Value, canonical, key
from scrub.errors import ClaimError, did_you_mean, some

Classes = Sequence[Sequence[Value]]


@frozen
class Coarser:
    """A variable's function: of values that are one class, the first."""

    variable: Variable
    table: Mapping[Any, Value]

    @property
    def __signature__(self) -> inspect.Signature:
        return _signature(self.variable.parents)

    def __call__(self, **known: Any) -> Value:
        value = self.variable.value(known)
        return self.table.get(key(value), value)


@frozen
class Besides:
    """A variable's function, which reads more than it uses; without one it holds what it reads, whole."""

    variable: Variable | None
    more: tuple[str, ...]

    @property
    def __signature__(self) -> inspect.Signature:
        return _signature((*(self.variable.parents if self.variable else ()), *self.more))

    def __call__(self, **known: Any) -> Value:
        if self.variable is not None:
            return self.variable.value({parent: known[parent] for parent in self.variable.parents})
        return known[self.more[0]] if len(self.more) == 1 else tuple(known[name] for name in self.more)


def _signature(parents: Sequence[str]) -> inspect.Signature:
    return inspect.Signature([inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in parents])


def coarser(hypothesis: Hypothesis, **classes: Classes) -> Hypothesis:
    """The claim in which values of variables are one: `coarser(ioi, subject=[(" John", " Mary")])`.

    The first of a class stands for all, also for what is computed from it. Raises ClaimError for what is no variable.
    """
    story = hypothesis.story
    functions: dict[str, Callable[..., Any]] = {}
    for name, groups in classes.items():
        if name not in story.variables:
            raise ClaimError(
                f"coarser({name}=...): the story has no such variable.{did_you_mean(name, story.variables)}"
            )
        table = {key(canonical(value)): canonical(group[0]) for group in groups for value in group}
        functions[name] = Coarser(story.variables[name], table)
    return evolve(hypothesis, story=_with(story, functions))


def also(hypothesis: Hypothesis, **reads: str) -> Hypothesis:
    """The claim in which variables read more: `also(ioi, name="subject seen", seen="S1_token")`.

    A variable of the story computes what it does; a new one holds what it reads, whole.
    """
    story = hypothesis.story
    functions = {name: Besides(story.variables.get(name), tuple(names.split())) for name, names in reads.items()}
    return evolve(hypothesis, story=_with(story, functions))


def unused_by(story: Interpretation, variable: str) -> tuple[str, ...]:
    """The variables that read another besides what they compute from; none where one computes from it."""
    readers = [(one, one.function) for one in story.variables.values() if variable in one.parents]
    besides = [
        one.name for one, made in readers if isinstance(made, Besides) and made.variable and variable in made.more
    ]
    return tuple(besides) if len(besides) == len(readers) else ()


def with_tokens(hypothesis: Hypothesis, positions: str) -> Hypothesis:
    """The claim on data with the token at each named position as a column: see `Dataset.with_tokens`."""
    data = hypothesis.data
    if isinstance(data, Dataset):
        return evolve(hypothesis, data=data.with_tokens(positions))

    @wraps(data)
    def made(**given: Any) -> Dataset:
        return data(**given).with_tokens(positions)

    return evolve(hypothesis, data=made)


def held_by(hypothesis: Hypothesis, variable: str, *names: str, at: str | int) -> Site:
    """Components that a variable has in a claim, as they are printed: `held_by(ioi, "name", "9.9[U]", at="END")`.

    Of parts that are known by their arrays, which no text has. Raises ClaimError for what it does not have.
    """
    place = hypothesis.correspondence().get(variable)
    sites = place if isinstance(place, tuple) else (place,) if isinstance(place, Site) else ()
    known = {str(component): component for site in sites for component in site.components}
    if lacking := [name for name in names if name not in known]:
        raise ClaimError(f"{variable} has no {lacking[0]}: it has {some(known) or 'no site'}.")
    return Site(tuple(sorted(known[name] for name in names)), parse_slots(at))


def with_settings(hypothesis: Hypothesis, **settings: Any) -> Hypothesis:
    """The claim with other settings, also where a variable or a column has the name of one, for which `.but` takes
    it: `with_settings(ioi, seen=SEEN)`. Raises ClaimError for a setting that is wrong.
    """
    options = {name: value for name, value in settings.items() if name in fields_dict(Options)}
    others = {name: value for name, value in settings.items() if name not in options}
    return evolve(hypothesis, options=evolve(hypothesis.options, **options), **others)


def changed(hypothesis: Hypothesis, changes: Changes) -> Hypothesis:
    """The claim with these changes."""
    made = with_tokens(hypothesis, changes.tokens) if changes.tokens else hypothesis
    made = also(made, **changes.reads) if changes.reads else made
    made = coarser(made, **changes.coarser) if changes.coarser else made
    return with_settings(made.but(**changes.places), **changes.options)


def _with(story: Interpretation, functions: Mapping[str, Callable[..., Any]]) -> Interpretation:
    """A story with other functions, and more of them; values that were rounded are given rounded."""
    found = Interpretation()
    for name, variable in story.variables.items():
        found.add(name, functions.get(name, variable.function), None if name in functions else variable.step)
    for name, function in functions.items():
        if name not in story.variables:
            found.add(name, function)
    return found
