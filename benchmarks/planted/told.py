"""A claim as plain data: steps of a story, spots in a model, a setting. A change of one thing is an `evolve`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
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


@frozen
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
            story.variable(_named(name, step))
        return story

    @property
    def output(self) -> str:
        """The variable that no other reads."""
        read = {parent for step in self.steps.values() for parent in step.parents}
        (name,) = (name for name in self.steps if name not in read)
        return name

    def order(self) -> list[str]:
        graph = nx.DiGraph((parent, name) for name, step in self.steps.items() for parent in step.parents)
        return [name for name in nx.lexicographical_topological_sort(graph) if name in self.steps]

    def values(self, columns: Mapping[str, Any]) -> Known:
        """Every column and variable on a row."""
        known = dict(columns)
        for name in self.order():
            known[name] = self.steps[name].function(*(known[parent] for parent in self.steps[name].parents))
        return known

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

    def but(self, **setting: Any) -> Told:
        return evolve(self, setting={**self.setting, **setting})


def _named(name: str, step: Step) -> Callable[..., Any]:
    """A function whose parameters are the step's parents, as a story wants it."""

    def function(**given: Any) -> Any:
        return step.function(*(given[parent] for parent in step.parents))

    parameters = [inspect.Parameter(parent, inspect.Parameter.POSITIONAL_OR_KEYWORD) for parent in step.parents]
    function.__name__ = name
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


@frozen(eq=False)
class Planted:
    """A model with its true claim.

    `carriers` says of every variable which components at which position hold it, spares included; None where only
    the claim says so, as in trained models. `others` are the components that a change may bring in, by kind.
    `spare` are columns that decide nothing. `arguments` are those of a computation graph's nodes.
    """

    name: str
    family: str
    told: Told
    others: Mapping[str, tuple[str, ...]]
    carriers: Mapping[str, frozenset[tuple[str, str]]] | None = None
    positions: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    arguments: Mapping[str, tuple[str, ...]] = field(factory=dict)
    features: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        return self.family == "graph"
