"""From a story and a correspondence to placed variables: what takes part in scrubbing, and who reads whom.

Variables that are `inside` dissolve into their readers; each site's channels get their parents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from scrub.claims.graphs import ModelGraph
from scrub.claims.interpretation import Interpretation
from scrub.claims.names import Component
from scrub.claims.problems import Problem
from scrub.claims.sites import Inside, Place, Site
from scrub.errors import nearest


@frozen
class PlacedSite:
    """A site with its reading made explicit: `reads` maps a channel to the parents it reads."""

    site: Site
    reads: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def parents(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(parent for _, parents in self.reads for parent in parents))

    def channels_of(self, parent: str) -> tuple[str, ...]:
        """The channels through which this site reads a parent, in alphabetical order."""
        return tuple(sorted(channel for channel, parents in self.reads if parent in parents))


@frozen
class Placed:
    """A variable or a column with its sites. A leaf has no placed parents, nor omitted ones."""

    name: str
    sites: tuple[PlacedSite, ...]
    parents: tuple[str, ...]

    @property
    def leaf(self) -> bool:
        return not self.parents


@frozen
class Placement:
    """All placed variables and columns by name, and the one output."""

    placed: dict[str, Placed]
    output: str
    inside: tuple[str, ...] = field(default=())

    def readers(self, name: str) -> tuple[str, ...]:
        return tuple(p.name for p in self.placed.values() for s in p.sites if name in s.parents())

    def reached(self) -> tuple[str, ...]:
        """The variables that the output reads, directly or not, itself included: those that are scrubbed."""
        found, todo = dict[str, None](), [self.output]
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = None
                todo += [parent for site in self.placed[name].sites for parent in site.parents()]
        return tuple(found)


def place(
    story: Interpretation, sites: Mapping[str, Place], graph: ModelGraph
) -> tuple[Placement | None, list[Problem]]:
    """Resolve a correspondence. With problems that leave no sensible structure, the placement is None."""
    problems = list(_structure(story)) + list(_entries(story, sites))
    output, wrong = _output(story, sites, graph)
    problems += wrong + list(_components(sites, graph))
    if problems:
        return None, problems
    placed: dict[str, Placed] = {}
    for name, where in sites.items():
        if isinstance(where, Inside):
            continue
        parents = placed_parents(story, sites, name)
        several = where if isinstance(where, tuple) else (where,)
        resolved: list[PlacedSite] = []
        for site in several:
            made, wrong = _read(name, site, parents, graph)
            problems += wrong
            resolved.append(made)
        problems += list(_unread(name, several, resolved, parents, graph))
        placed[name] = Placed(name, tuple(resolved), parents)
    dissolved = tuple(name for name, where in sites.items() if isinstance(where, Inside))
    return (None if problems else Placement(placed, output, dissolved)), problems


def placed_parents(story: Interpretation, sites: Mapping[str, Place], name: str) -> tuple[str, ...]:
    """The placed parents of a variable; those of an `inside` parent count as its own."""
    if name not in story.variables:
        return ()
    found: dict[str, None] = {}
    for parent in story.variables[name].parents:
        where = sites.get(parent)
        if isinstance(where, Inside):
            found |= dict.fromkeys(placed_parents(story, sites, parent))
        elif where is not None:
            found[parent] = None
    return tuple(found)


def _structure(story: Interpretation) -> Iterator[Problem]:
    if not story.variables:
        yield Problem("the story has no variables.", "Add functions with @story.variable.")
    if cycle := story.cycle():
        yield Problem(f"the story has a cycle: {' -> '.join(cycle)}.", "A variable is a function of earlier ones.")


def _entries(story: Interpretation, sites: Mapping[str, Place]) -> Iterator[Problem]:
    known = [*story.variables, *story.columns]
    for name in story.variables:
        if name not in sites:
            yield Problem(
                "this variable has no entry in the correspondence.",
                "Give it a site, a list of sites, or inside (computed inside its readers).",
                variable=name,
                line=story.variables[name].line,
            )
    for name, where in sites.items():
        line = where.line if isinstance(where, Site) else None
        if name not in known:
            near = nearest(name, known)
            yield Problem(f"{name!r} is no variable of the story and no column that it reads.", "", near, name, line=line)
        elif isinstance(where, Inside) and name not in story.variables:
            yield Problem("a column cannot be inside.", "Leave it out: columns without a site are free.", variable=name)


def _output(
    story: Interpretation, sites: Mapping[str, Place], graph: ModelGraph
) -> tuple[str, list[Problem]]:
    outputs = [name for name in story.outputs()]
    answering = [n for n in outputs if isinstance(s := sites.get(n), Site) and any(map(graph.is_output, _existing(s, graph)))]
    problems: list[Problem] = []
    output = answering[0] if len(answering) == 1 else outputs[0] if len(outputs) == 1 else ""
    for name in outputs:
        if output and name != output:
            problems.append(Problem(
                "this variable is unused: nothing reads it, and it is not the output.",
                "Read it in another variable, or delete it.", variable=name, line=story.variables[name].line,
            ))  # fmt: skip
    if not output and outputs:
        problems.append(Problem(
            f"the story has several outputs: {', '.join(outputs)}.",
            "A story has one answer; the other variables must lead to it.",
        ))  # fmt: skip
    where = "logits(...)" if graph.sequence else "nodes(...) of the model's output node"
    if output and output in sites and not answering:
        problems.append(Problem(f"the output must be at {where}.", "", variable=output, line=_line(sites[output])))
    for name, place in sites.items():
        for site in _sites(place):
            at_end = [c for c in _existing(site, graph) if graph.is_output(c)]
            if at_end and name != output:
                problems.append(Problem(
                    f"{at_end[0]} belongs to the output alone.", "", variable=name, line=site.line,
                ))  # fmt: skip
            if at_end and name == output and (len(site.components) > 1 or graph.sequence and not _single(site)):
                problems.append(Problem(
                    f"the output is read at one place, found {site}.", "", variable=name, line=site.line,
                ))  # fmt: skip
    if output and isinstance(sites.get(output), tuple):
        problems.append(Problem("the output has one site, found a list.", "", variable=output))
    return output, problems


def _single(site: Site) -> bool:
    return len(site.at) == 1 and site.at[0].name != "all"


def _components(sites: Mapping[str, Place], graph: ModelGraph) -> Iterator[Problem]:
    for name, where in sites.items():
        for site in _sites(where):
            for component in site.components:
                if not graph.has(component):
                    known, near = graph.missing(component)
                    kind = "head " if component.kind == "head" else "node " if component.kind == "node" else ""
                    yield Problem(f"{kind}{component} does not exist: {known}.", "", near, name, line=site.line)
            atoms = [atom for c in site.components if graph.has(c) for atom in graph.atoms(c)]
            if len(set(atoms)) < len(atoms):
                yield Problem(f"components of {site} contain one another.", "Name each part once.", variable=name, line=site.line)


def _read(
    name: str, site: Site, parents: tuple[str, ...], graph: ModelGraph
) -> tuple[PlacedSite, list[Problem]]:
    """A site with explicit reads. A single-channel reader reads every parent unless told otherwise."""
    channels = tuple(dict.fromkeys(c for component in site.components for c in graph.channels(component)))
    problems: list[Problem] = []

    def wrong(found: str, fix: str = "", near: str | None = None) -> None:
        problems.append(Problem(found, fix, near, name, line=site.line))

    for parent in site.omitted:
        if parent not in parents:
            wrong(f".omits({parent!r}): not a placed parent; those are {_listed(parents)}.", "", nearest(parent, parents))
    if site.reading is None and len(channels) == 1:
        rest = tuple(p for p in parents if p not in site.omitted)
        return PlacedSite(site, ((channels[0], rest),) if rest else ()), problems
    for channel, names in site.reading or ():
        if channel not in channels:
            wrong(f"{site} has no channel {channel!r}: it has {_listed(channels)}.", "", nearest(channel, channels))
        for parent in names:
            if parent not in parents:
                wrong(
                    f".reads({channel}={parent!r}): not a placed parent; those are {_listed(parents)}.",
                    "Only variables and columns with a site can be read from the model.",
                    nearest(parent, parents),
                )
            elif parent in site.omitted:
                wrong(f"{parent!r} is both read and omitted.")
    reads = tuple(sorted((c, names) for c, names in site.reading or () if names))
    return PlacedSite(site, reads), problems


def _unread(
    name: str, sites: tuple[Site, ...], resolved: list[PlacedSite], parents: tuple[str, ...], graph: ModelGraph
) -> Iterator[Problem]:
    """Parents that no channel of any site reads and none omits."""
    read = {parent for site in resolved for parent in site.parents()}
    omitted = {parent for site in sites for parent in site.omitted}
    channels = dict.fromkeys(c for s in sites for comp in s.components for c in graph.channels(comp))
    for parent in parents:
        if parent not in read and parent not in omitted:
            example = next(iter(channels), "input")
            yield Problem(
                f"the parent {parent!r} is read by no channel of {' or '.join(map(str, sites))}.",
                f"Name it, .reads({example}={parent!r}), or cut it on purpose, .omits({parent!r}).",
                variable=name,
                line=sites[0].line,
            )


def _sites(where: Place) -> tuple[Site, ...]:
    return () if isinstance(where, Inside) else where if isinstance(where, tuple) else (where,)


def _existing(site: Site, graph: ModelGraph) -> list[Component]:
    return [c for c in site.components if graph.has(c)]


def _line(where: Place) -> int | None:
    sites = _sites(where)
    return sites[0].line if sites else None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
