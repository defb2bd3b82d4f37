"""From a story and a correspondence to placed variables: what takes part in scrubbing, and who reads whom.

Variables that are `inside` dissolve into their readers; each site's channels get their parents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.claims.interpretation import Interpretation
from scrub.claims.overlap import met_within
from scrub.claims.problems import Problem
from scrub.claims.sites import Inside, Place, Site, inside
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
class PlacedVariable:
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

    placed: dict[str, PlacedVariable]
    output: str
    inside: tuple[str, ...] = field(default=())

    def readers(self, name: str) -> tuple[str, ...]:
        return tuple(p.name for p in self.placed.values() for s in p.sites if name in s.parents())

    @property
    def answer(self) -> Slot | None:
        """Where the output is read, in a transformer."""
        return next((slot for site in self.placed[self.output].sites for slot in site.site.at), None)

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
    """Resolve a correspondence. With problems the placement is a draft, whose sound part is checked further.

    Without a sensible structure (no variables, a cycle) it is None.
    """
    problems = [*structure(story), *_entries(story, sites), *_components(sites, graph)]
    if story.cycle() or not story.variables:
        return None, problems
    output, wrong = _output(story, sites, graph)
    problems += wrong
    placed: dict[str, PlacedVariable] = {}
    for name, where in sites.items():
        several = sites_of(where)
        parents = placed_parents(story, sites, name)
        resolved: list[PlacedSite] = []
        for site in several:
            made, wrong = _read(name, site, parents, graph)
            problems += wrong if name in story.variables or name in story.columns else []  # of these told above
            resolved.append(made)
        if several and all(exists(site, graph) for site in several):
            problems += _unread(name, several, resolved, parents, graph)
        if several:
            placed[name] = PlacedVariable(name, tuple(resolved), parents)
    dissolved = tuple(name for name, where in sites.items() if isinstance(where, Inside))
    return Placement(placed, output, dissolved), problems


def exists(site: Site, graph: ModelGraph) -> bool:
    """Whether a site could be read and the model has all of its components."""
    return bool(site.components) and all(map(graph.has, site.components))


def sites_of(where: Place) -> tuple[Site, ...]:
    return () if isinstance(where, Inside) else where if isinstance(where, tuple) else (where,)


def placed_parents(story: Interpretation, sites: Mapping[str, Place], name: str) -> tuple[str, ...]:
    """The placed parents of a variable; those of an `inside` parent count as its own."""
    if name not in story.variables:
        return ()
    found, met, todo = dict[str, None](), set[str](), [name]
    while todo:
        parent = todo.pop()
        where = sites.get(parent)
        if (parent == name or isinstance(where, Inside)) and parent in story.variables and parent not in met:
            todo += reversed(story.variables[parent].parents)
        elif where is not None and not isinstance(where, Inside):
            found[parent] = None
        met.add(parent)
    return tuple(found)


def structure(story: Interpretation) -> Iterator[Problem]:
    """What is wrong with a story wherever it is placed."""
    if not story.variables:
        yield Problem("the story has no variables.", "Add functions with @story.variable.")
    if cycle := story.cycle():
        variable = story.variables[cycle[0]]
        found = f"the story has a cycle: {' -> '.join(cycle)}."
        yield Problem(found, "A variable is a function of earlier ones.", None, variable.name).at(variable)


def _entries(story: Interpretation, sites: Mapping[str, Place]) -> Iterator[Problem]:
    known = [*story.variables, *story.columns]
    for name, variable in story.variables.items():
        if name not in sites:
            fix = "Give it a site, a list of sites, or inside (computed inside its readers)."
            yield Problem("this variable has no entry in the correspondence.", fix, None, name).at(variable)
    for name, where in sites.items():
        if name not in known:
            found = f"{name!r} is no variable of the story and no column that it reads."
            fix = "A variable is a function below @story.variable, a column what one of them names."
            yield _at(where, Problem(found, fix, nearest(name, known), name))
        elif isinstance(where, Inside) and name not in story.variables:
            yield Problem("a column cannot be inside.", "Leave it out: columns without a site are free.", None, name)


def _output(story: Interpretation, sites: Mapping[str, Place], graph: ModelGraph) -> tuple[str, list[Problem]]:
    """The one output, or an empty name; what else claims to be it, and where it is read."""
    outputs = story.outputs()
    answering = [n for n in outputs if any(_ends(site, graph) for site in sites_of(sites.get(n, inside)))]
    output = answering[0] if len(answering) == 1 else outputs[0] if len(outputs) == 1 else ""
    if not output:
        fix = "A story has one answer; the other variables must lead to it."
        return "", [Problem(f"the story has several outputs: {', '.join(outputs)}.", fix)]
    problems = [
        Problem(
            "this variable is unused: nothing reads it, and it is not the output.",
            "Read it in another variable, or delete it.", None, name,
        ).at(story.variables[name])
        for name in outputs if name != output
    ]  # fmt: skip
    known = {*story.variables, *story.columns}
    if output in sites:
        problems += _answer(output, sites[output], bool(answering), graph)
    for name, where in sites.items():
        for site in sites_of(where) if name in known else ():
            if name != output and (ends := _ends(site, graph)):
                problems.append(Problem(f"{ends[0]} belongs to the output alone.", "", None, name).at(site))
    return output, problems


def _answer(output: str, where: Place, answering: bool, graph: ModelGraph) -> Iterator[Problem]:
    several = sites_of(where)
    if len(several) > 1:
        yield _at(where, Problem("the output has one site, found a list.", "", None, output))
    elif not answering and all(exists(site, graph) for site in several):
        fix = "Place it at logits('END')." if graph.sequence else "Place it at nodes(...) of the model's output node."
        found = f"the output is read at {several[0]}." if several else "the output is inside."
        yield _at(where, Problem(found, fix, None, output))
    for site in several:
        if _ends(site, graph) and (len(site.components) > 1 or (graph.sequence and not _single(site))):
            yield Problem(f"the output is read at one place, found {site}.", "", None, output).at(site)


def _ends(site: Site, graph: ModelGraph) -> list[Component]:
    """The components of a site that are the model's output."""
    return [c for c in site.components if graph.has(c) and graph.is_output(c)]


def _single(site: Site) -> bool:
    return len(site.at) == 1 and site.at[0].name != "all"


def _components(sites: Mapping[str, Place], graph: ModelGraph) -> Iterator[Problem]:
    for name, where in sites.items():
        for site in sites_of(where):
            for component in site.components:
                if not graph.has(component):
                    known, near = graph.missing(component)
                    kind = "" if component.traits.has_word else f"{component.kind} "
                    yield Problem(f"{kind}{component} does not exist: {known}.", "", near, name).at(site)
            yield from _contained(name, site, graph)


def _contained(name: str, site: Site, graph: ModelGraph) -> Iterator[Problem]:
    there = [c for c in site.components if graph.has(c)]
    plain = [atom for c in there if not c.is_part for atom in graph.atoms(c)]
    if len(set(plain)) < len(plain):
        yield Problem(f"components of {site} contain one another.", "Name each part once.", None, name).at(site)
    elif any(c.is_part for c in there):
        for met in met_within(there, graph):
            found = f"{met} of {site} overlap: parts of one host have other indices, or orthogonal directions."
            yield Problem(found, "", None, name).at(site)


def _read(name: str, site: Site, parents: tuple[str, ...], graph: ModelGraph) -> tuple[PlacedSite, list[Problem]]:
    """A site with explicit reads. A single-channel reader reads every parent unless told otherwise."""
    existing = [component for component in site.components if graph.has(component)]
    channels = tuple(dict.fromkeys(c for component in existing for c in graph.channels(component)))
    problems: list[Problem] = []

    def wrong(found: str, fix: str = "", near: str | None = None) -> None:
        problems.append(Problem(found, fix, near, name).at(site))

    for parent in site.omitted:
        if parent not in parents:
            found = f".omits({parent!r}): not a placed parent; those are {_listed(parents)}."
            wrong(found, "", nearest(parent, parents))
    if site.reading is None and len(channels) == 1:
        rest = tuple(p for p in parents if p not in site.omitted)
        return PlacedSite(site, ((channels[0], rest),) if rest else ()), problems
    for channel, names in site.reading or ():
        if channel not in channels and exists(site, graph):
            found = f"{site} has no channel {channel!r}: it has {_listed(channels)}."
            wrong(found, "", nearest(channel, channels))
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
    name: str,
    sites: tuple[Site, ...],
    resolved: list[PlacedSite],
    parents: tuple[str, ...],
    graph: ModelGraph,
) -> Iterator[Problem]:
    """Parents that no channel of any site reads and none omits."""
    read = {parent for site in resolved for parent in site.parents()}
    omitted = {parent for site in sites for parent in site.omitted}
    channels = [c for s in sites for component in s.components for c in graph.channels(component)]
    for parent in parents:
        if parent not in read and parent not in omitted:
            found = f"the parent {parent!r} is read by no channel of {' or '.join(map(str, sites))}."
            usual = "v" if "v" in channels else next(iter(channels), "")  # what is moved is read so
            channel = parent if parent in channels else usual
            naming = f"Name it, .reads({channel}={parent!r}), or cut" if channel else "Cut"
            yield Problem(found, f"{naming} it on purpose, .omits({parent!r}).", None, name).at(sites[0])


def _at(where: Place, problem: Problem) -> Problem:
    """The problem, located at the first site of an entry."""
    several = sites_of(where)
    return problem.at(several[0]) if several else problem


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
