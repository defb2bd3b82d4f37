"""Every claim that differs from a true one in one thing: its components, edges, values, positions or its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from attrs import evolve, frozen

from planted.told import Planted, Spot, Step, Told

CHANNELS = {"heads": "qkv", "attn": "qkv"}


@frozen
class Mutation:
    """A claim changed in one thing; `kind` is one of `KINDS`, `what` says what was changed."""

    kind: str
    what: str
    told: Told


Changed = Iterator[tuple[str, Told]]


def mutations(case: Planted) -> Iterator[Mutation]:
    """All changes of a case's true claim. Some say the same as others, see `content`; `check` refuses some."""
    for kind, change in KINDS.items():
        for what, told in change(case):
            yield Mutation(kind, what, told)


def content(told: Told) -> str:
    """Two claims with the same content say the same. Raises what a step raises that cannot take its values."""
    values = [[row[name] for name in sorted(told.steps)] for row in told.table]
    parents = {name: sorted(step.parents) for name, step in told.steps.items()}
    spots = {
        name: [(s.kind, sorted(s.names), s.at, sorted(s.reads.items()), sorted(s.omits)) for s in found]
        for name, found in told.spots.items()
    }
    return repr((sorted(parents.items()), sorted(spots.items()), values))


# components


def moved(told: Told, name: str, number: int, names: tuple[str, ...]) -> Told:
    """A variable on other components; in a computation graph its readers then read these arguments."""
    old = told.spots[name][number]
    told = told.spot(name, number, evolve(old, names=names))
    if old.kind != "nodes":
        return told
    gone, new = [n for n in old.names if n not in names], [n for n in names if n not in old.names]
    for reader, spots in told.spots.items():
        for at, spot in enumerate(spots):
            if name in spot.parents:
                reads = {channel: parents for channel, parents in spot.reads.items() if channel not in gone}
                told = told.spot(reader, at, evolve(spot, reads={**reads, **{channel: (name,) for channel in new}}))
    return told


def _components(case: Planted) -> Iterator[tuple[str, int, Spot, str]]:
    """Every spot with each component that could stand there instead or as well."""
    for name, spots in case.told.spots.items():
        for number, spot in enumerate(spots):
            for other in case.others.get(spot.kind, ()):
                if other not in spot.names and (spot.kind != "nodes" or _alike(case, name, spot, other)):
                    yield name, number, spot, other


def _alike(case: Planted, name: str, spot: Spot, other: str) -> bool:
    """Whether a node reads what a spot's nodes read, and is read where these are."""
    mine, its = (set(case.arguments.get(node, ())) for node in (spot.names[0], other))
    readers = [s.names for spots in case.told.spots.values() for s in spots if name in s.parents]
    return set(spot.reads) <= its and mine >= its and all(other in case.arguments[n] for ns in readers for n in ns)


def wrong_component(case: Planted) -> Changed:
    for name, number, spot, other in _components(case):
        for old in spot.names:
            names = tuple(other if found == old else found for found in spot.names)
            yield f"{name}: {other} instead of {old}", moved(case.told, name, number, names)


def added_component(case: Planted) -> Changed:
    for name, number, spot, other in _components(case):
        if spot.reads:
            yield f"{name}: {other} as well", moved(case.told, name, number, (*spot.names, other))


def one_of_several(case: Planted) -> Changed:
    for name, spots in case.told.spots.items():
        for number, spot in enumerate(spots):
            for old in spot.names if len(spot.names) > 1 else ():
                left = tuple(found for found in spot.names if found != old)
                yield f"{name}: without {old}", moved(case.told, name, number, left)
            if len(spots) > 1:
                yield f"{name}: without {' '.join(spot.names)}", _fewer(case.told, name, number)


def _fewer(told: Told, name: str, number: int) -> Told:
    return told.placed(name, [spot for place, spot in enumerate(told.spots[name]) if place != number])


# edges


def missing_edge(case: Planted) -> Changed:
    for name, number, spot in _spots(case.told):
        for parent in spot.parents:
            yield f"{name}: {parent} not read", case.told.spot(name, number, spot.without(parent))


def missing_channel(case: Planted) -> Changed:
    for name, number, spot in _spots(case.told):
        for channel, parents in spot.reads.items():
            yield f"{name}: nothing read through {channel}", case.told.spot(name, number, spot.reading(channel, ()))
            for parent in parents if len(parents) > 1 else ():
                left = [found for found in parents if found != parent]
                yield (
                    f"{name}: {parent} not read through {channel}",
                    case.told.spot(name, number, spot.reading(channel, left)),
                )


def added_edge(case: Planted) -> Changed:
    for name, number, spot in _spots(case.told):
        for other in (*case.told.spots, *case.spare):
            if name in case.told.steps and _before(case.told, other, name):
                for channel in _channels(case, spot):
                    if other not in spot.reads.get(channel, ()):
                        yield f"{name}: {other} read through {channel}", _wider(case, name, number, channel, other)


def _wider(case: Planted, name: str, number: int, channel: str, other: str) -> Told:
    told, step, spot = case.told, case.told.steps[name], case.told.spots[name][number]
    told = told.spot(name, number, spot.reading(channel, (*spot.reads.get(channel, ()), other)))
    if other in case.spare:
        told = told.placed(other, [case.spare[other]])
    if other not in step.parents:
        told = told.step(name, Step((*step.parents, other), lambda *values: step.function(*values[:-1])))
    return told


def wrong_variable(case: Planted) -> Changed:
    for name, step in case.told.steps.items():
        for parent in step.parents:
            for other in case.told.spots:
                if parent in case.told.spots and other != parent and _before(case.told, other, name):
                    yield f"{name}: reads {other} for {parent}", _instead(case.told, name, parent, other)
        if len(step.parents) > 1:  # computed as if it were the other way round, from what it does read
            exchanged = Step(step.parents, lambda a, b, *more, step=step: step.function(b, a, *more))
            yield f"{name}: {step.parents[0]} and {step.parents[1]} exchanged", case.told.step(name, exchanged)


def _instead(told: Told, name: str, parent: str, other: str) -> Told:
    step = told.steps[name]
    asked = [other if found == parent else found for found in step.parents]
    parents = tuple(dict.fromkeys(asked))

    def function(*values: Any) -> Any:
        known = dict(zip(parents, values, strict=True))
        return step.function(*(known[found] for found in asked))

    told = told.step(name, Step(parents, function))
    for number, spot in enumerate(told.spots[name]):
        reads = {c: tuple(dict.fromkeys(other if p == parent else p for p in read)) for c, read in spot.reads.items()}
        told = told.spot(name, number, evolve(spot, reads=reads))
    return told.pruned()


def _spots(told: Told) -> Iterator[tuple[str, int, Spot]]:
    return ((name, number, spot) for name, spots in told.spots.items() for number, spot in enumerate(spots))


def _channels(case: Planted, spot: Spot) -> tuple[str, ...]:
    if spot.kind == "nodes":
        return case.arguments.get(spot.names[0], ())
    return tuple(CHANNELS.get(spot.kind, "") or ("input",))


def _before(told: Told, first: str, name: str) -> bool:
    """Whether a variable does not depend on another, itself included, so that it may be read there."""
    if first == name:
        return False
    return first not in told.steps or all(_before(told, parent, name) for parent in told.steps[first].parents)


# values


def _inner(told: Told) -> Iterator[tuple[str, list[Any]]]:
    """Every variable but the answer, with its values on the data."""
    for name in told.steps:
        if name != told.output:
            yield name, domain(told, name)


def domain(told: Told, name: str) -> list[Any]:
    return sorted({row[name] for row in told.table}, key=lambda value: (value is None, str(value)))


def _few(those: list[Any]) -> list[Any]:
    """At most eight, evenly spaced: a vocabulary has many words."""
    return those[:: -(-len(those) // 8)]


def _mapped(told: Told, name: str, change: Callable[[Any], Any]) -> Told:
    step = told.steps[name]
    return told.step(name, Step(step.parents, lambda *values: change(step.function(*values))))


def _read_as(told: Told, name: str, change: Callable[[Any], Any]) -> Told:
    """Every reader of a variable takes its value through a function."""
    for reader, step in told.steps.items():
        if name in step.parents:
            told = told.step(reader, Step(step.parents, _through(step, name, change)))
    return told


def _through(step: Step, name: str, change: Callable[[Any], Any]) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        return step.function(*(change(v) if p == name else v for p, v in zip(step.parents, values, strict=True)))

    return function


def _turned(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values, [*values[1:], *values[:1]], strict=True))


def permuted_values(case: Planted) -> Changed:
    for name, values in _inner(case.told):
        turn = _turned(values)
        yield f"{name}: each value for the next", _mapped(case.told, name, lambda v, turn=turn: turn.get(v, v))


def renamed_values(case: Planted) -> Changed:
    for name, values in _inner(case.told):
        turn = _turned(values)
        back = {new: old for old, new in turn.items()}
        told = _mapped(case.told, name, lambda v, turn=turn: turn.get(v, v))
        yield f"{name}: other names for its values", _read_as(told, name, lambda v, back=back: back.get(v, v))


def coarser_value(case: Planted) -> Changed:
    for name, values in _inner(case.told):
        for one, two in _few(list(pairwise(values))):
            told = _mapped(case.told, name, lambda v, one=one, two=two: one if v == two else v)
            yield f"{name}: {two!r} is {one!r}", told


def constant_value(case: Planted) -> Changed:
    for name, values in _inner(case.told):
        yield f"{name}: always {values[0]!r}", _mapped(case.told, name, lambda _, value=values[0]: value)


def finer_value(case: Planted) -> Changed:
    for name, _ in _inner(case.told):
        for column in case.spare:
            step = case.told.steps[name]
            finer = Step((*step.parents, column), lambda *v, step=step: (step.function(*v[:-1]), v[-1]))
            yield f"{name}: with {column}", _read_as(case.told.step(name, finer), name, lambda value: value[0])


# places and the story


def wrong_position(case: Planted) -> Changed:
    for name, number, spot in _spots(case.told):
        for at in case.positions if spot.at else ():
            if at != spot.at:
                yield f"{name}: at {at} instead of {spot.at}", case.told.spot(name, number, evolve(spot, at=at))


def swapped_places(case: Planted) -> Changed:
    told, names = case.told, [name for name, spots in case.told.spots.items() if len(spots) == 1]
    for place, one in enumerate(names):
        for two in names[place + 1 :]:
            (a,), (b,) = told.spots[one], told.spots[two]
            if a.kind == b.kind and a.kind != "logits" and case.told.output not in (one, two):
                swapped = moved(moved(told, one, 0, b.names), two, 0, a.names)
                swapped = swapped.spot(one, 0, evolve(swapped.spots[one][0], at=b.at))
                yield f"{one} and {two}", swapped.spot(two, 0, evolve(swapped.spots[two][0], at=a.at))


def reversed_story(case: Planted) -> Changed:
    values = domain(case.told, case.told.output)
    back = dict(zip(values, values[::-1], strict=True))
    yield "answers the other way round", _mapped(case.told, case.told.output, lambda v: back.get(v, v))
    turn = _turned(values)
    yield "each answer for the next", _mapped(case.told, case.told.output, lambda v: turn.get(v, v))


def constant_story(case: Planted) -> Changed:
    for value in _few(domain(case.told, case.told.output)):
        yield f"always answers {value!r}", _mapped(case.told, case.told.output, lambda _, value=value: value)


KINDS: dict[str, Callable[[Planted], Changed]] = {
    "wrong component": wrong_component,
    "added component": added_component,
    "one of several": one_of_several,
    "missing edge": missing_edge,
    "missing channel": missing_channel,
    "added edge": added_edge,
    "wrong variable": wrong_variable,
    "permuted values": permuted_values,
    "renamed values": renamed_values,
    "coarser value": coarser_value,
    "constant value": constant_value,
    "finer value": finer_value,
    "wrong position": wrong_position,
    "swapped places": swapped_places,
    "reversed story": reversed_story,
    "constant story": constant_story,
}
