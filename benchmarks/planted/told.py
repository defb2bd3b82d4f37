"""A claim as plain data: steps of a story, spots in a model, a setting. A change of one thing is an `evolve`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import networkx as nx
from attrs import evolve, field, frozen

import scrub
from scrub import Hypothesis, Interpretation, claim

Reads = Mapping[str, tuple[str, ...]]
Known = dict[str, Any]


@frozen
class Step:
    """A variable: a function of its parents' values, in their order."""

    parents: tuple[str, ...]
    function: Callable[..., Any]


@frozen
class Spot:
    """A site: `names` are heads, layers or nodes (none for `embed` and `logits`); `reads` is channel -> parents."""

    kind: str
    names: tuple[str, ...] = ()
    at: str = ""
    reads: Reads = field(factory=dict)
    omits: tuple[str, ...] = ()

    def site(self) -> Any:
        make = getattr(scrub, self.kind)
        named = [" ".join(self.names)] if self.names else []
        placed = make(*named) if self.kind == "nodes" else make(*named, at=self.at)
        if self.reads:
            placed = placed.reads(**{channel: " ".join(parents) for channel, parents in self.reads.items()})
        return placed.omits(*self.omits) if self.omits else placed

    @property
    def parents(self) -> tuple[str, ...]:
        """The parents that some channel reads, each once."""
        return tuple(dict.fromkeys(parent for parents in self.reads.values() for parent in parents))

    def reading(self, channel: str, parents: Iterable[str]) -> Spot:
        """The spot with other parents read through a channel; what nothing reads any more is omitted."""
        reads = {name: kept for name, kept in {**self.reads, channel: tuple(parents)}.items() if kept}
        changed = evolve(self, reads=reads)
        cut = [name for name in self.parents if name not in changed.parents]
        return evolve(changed, omits=tuple(dict.fromkeys((*self.omits, *cut))))

    def without(self, parent: str) -> Spot:
        """The spot with a parent cut from every channel."""
        found = self
        for channel, parents in self.reads.items():
            found = found.reading(channel, [name for name in parents if name != parent])
        return found


@frozen(slots=False, eq=False)
class Told:
    """A whole claim. `setting` is what `scrub.claim` takes; variables without spots are `inside`."""

    steps: Mapping[str, Step]
    spots: Mapping[str, tuple[Spot, ...]]
    setting: Mapping[str, Any]

    def hypothesis(self, name: str = "told") -> Hypothesis:
        places = {n: [spot.site() for spot in spots] if spots else scrub.inside for n, spots in self.spots.items()}
        made = claim(self.story(), **self.setting)(lambda: places)
        return evolve(made, name=name)

    def story(self) -> Interpretation:
        story = Interpretation()
        for name, step in self.steps.items():
            story.variable(_told(name, step))
        return story

    @property
    def output(self) -> str:
        """The variable of the answer, at the logits or at the node that nothing reads: the one written last."""
        return next(reversed(self.steps))

    def order(self) -> list[str]:
        graph = nx.DiGraph((parent, name) for name, step in self.steps.items() for parent in step.parents)
        return [name for name in nx.lexicographical_topological_sort(graph) if name in self.steps]

    def values(self, columns: Mapping[str, Any]) -> Known:
        """Every column and variable on a row."""
        known = dict(columns)
        for name in self.order():
            known[name] = self.steps[name].function(*(known[parent] for parent in self.steps[name].parents))
        return known

    @cached_property
    def table(self) -> list[Known]:
        """The values on every row of the data."""
        data = self.setting["data"]
        return [self.values(row.columns) for row in (data() if callable(data) else data).rows]

    def step(self, name: str, step: Step) -> Told:
        return evolve(self, steps={**self.steps, name: step})

    def placed(self, name: str, spots: Iterable[Spot]) -> Told:
        return evolve(self, spots={**self.spots, name: tuple(spots)})

    def spot(self, name: str, number: int, spot: Spot) -> Told:
        """With another one of a variable's spots."""
        spots = list(self.spots[name])
        spots[number] = spot
        return self.placed(name, spots)

    def pruned(self) -> Told:
        """Without variables and columns that the answer does not depend on any more."""
        kept, found = {self.output}, {self.output}
        while found:
            found = {parent for name in found & set(self.steps) for parent in self.steps[name].parents} - kept
            kept |= found
        steps = {name: step for name, step in self.steps.items() if name in kept}
        return evolve(self, steps=steps, spots={name: spots for name, spots in self.spots.items() if name in kept})

    def but(self, **setting: Any) -> Told:
        return evolve(self, setting={**self.setting, **setting})


def named(name: str, parameters: Iterable[str], function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of keyword arguments with a name and a signature, as stories and computation graphs want it."""

    def made(**given: Any) -> Any:
        return function(**given)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    made.__name__ = name
    made.__signature__ = inspect.Signature([inspect.Parameter(p, kind) for p in parameters])  # type: ignore[attr-defined]
    return made


def _told(name: str, step: Step) -> Callable[..., Any]:
    return named(name, step.parents, lambda **given: step.function(*(given[parent] for parent in step.parents)))


@frozen(eq=False)
class Planted:
    """A model with its true claim.

    The claim names all that holds a variable, spares included: by construction where it is `known`, as far as anyone
    can tell in trained models. `others` are the components that a change may bring in, by kind, and
    `spare` columns that decide nothing, with where they stand. `arguments` are those of a computation graph's nodes,
    `rivals` false claims beside those that one change makes. It is tested on `rows` reference rows (None: all) with
    `draws` each.
    """

    name: str
    family: str
    told: Told
    others: Mapping[str, tuple[str, ...]]
    positions: tuple[str, ...] = ()
    spare: Mapping[str, Spot] = field(factory=dict)
    arguments: Mapping[str, tuple[str, ...]] = field(factory=dict)
    features: tuple[str, ...] = ()
    rivals: Mapping[str, Told] = field(factory=dict)
    rows: int | None = 48
    draws: int = 4
    known: bool = True

    @property
    def exact(self) -> bool:
        return self.family == "graph"
