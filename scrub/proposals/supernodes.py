"""From groups of an attribution graph to variables: what lies at one layer and position is a site.

A variable is read whole: every one of its sites is written before each site that reads it. So a group whose members
lie before and behind a reader becomes several variables, the first ones as large as can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from scrub.proposals.attributed import ERROR, LATENT, LOGIT, TOKEN, AttributionGraph, GraphNode

EMBEDDED = -1  # the layer of what is embedded


@frozen(order=True)
class GraphSite:
    """Latents of one layer's MLP at one position, or the embedding there."""

    layer: int
    position: int
    group: str
    latents: tuple[int, ...] = ()

    def before(self, other: GraphSite) -> bool:
        return self.layer < other.layer and self.position <= other.position


@frozen
class GraphVariable:
    """A group, or what of it is read together; `reads` are the numbers of the variables that each site reads."""

    title: str
    sites: tuple[GraphSite, ...]
    reads: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...] = ()

    @property
    def parents(self) -> tuple[int, ...]:
        return tuple(sorted({number for read in self.reads for number in read}))

    @property
    def embedded(self) -> bool:
        """Whether it is what a token's embedding says, and nothing else."""
        return all(site.layer == EMBEDDED for site in self.sites)


@frozen
class GraphStory:
    """Variables, parents first, those that the answer reads by number, and what of the graph is in none of them.

    `unread` are titles of variables that nothing leads from to the answer.
    """

    variables: tuple[GraphVariable, ...]
    answer: tuple[int, ...]
    errors: int
    ungrouped: int
    unread: tuple[str, ...]


def story_of(graph: AttributionGraph) -> GraphStory:
    """The variables of a graph, their sites, and which reads which."""
    at = _sites(graph)
    links = {(at[a], at[b]) for a, b in graph.links if a in at and b in at and at[a].before(at[b])}
    ends = {at[a] for a, b in graph.links if a in at and b in graph.nodes and graph.nodes[b].kind == LOGIT}
    parts = [part for group in _by_group(at.values()) for part in _split(group, links)]
    reading = {
        site: {i for i, part in enumerate(parts) if any((a, site) in links for a in part)} for site in at.values()
    }
    used = _leading(parts, reading, ends)
    order = sorted(used, key=lambda i: (max(parts[i]), i))
    place = {number: i for i, number in enumerate(order)}
    labels = {i: [graph.nodes[name].label for name, site in at.items() if site in parts[i]] for i in order}
    made = [_variable(parts[i], i, reading, place, [*filter(None, labels[i])]) for i in order]
    grouped = {*at} | {name for _, names in graph.groups for name in names}
    loose = [node for name, node in graph.nodes.items() if name not in grouped]
    return GraphStory(
        tuple(made),
        tuple(place[i] for i in order if ends & {*parts[i]}),
        len(graph.of(ERROR)),
        sum(node.kind == LATENT for node in loose),
        tuple(dict.fromkeys(parts[i][0].group for i in range(len(parts)) if i not in used)),
    )


def _sites(graph: AttributionGraph) -> dict[str, GraphSite]:
    """The site of every grouped latent and embedding, by the node's name."""
    found: dict[str, GraphSite] = {}
    for title, names in graph.groups:
        nodes = [graph.nodes[name] for name in names if graph.nodes[name].kind in (LATENT, TOKEN)]
        for node in nodes:
            layer, position = _place(node)
            there = {n.number for n in nodes if n.kind == LATENT and _place(n) == (layer, position)}
            found[node.name] = GraphSite(layer, position, title, tuple(sorted(there)))
    return found


def _place(node: GraphNode) -> tuple[int, int]:
    return (node.layer if node.kind == LATENT else EMBEDDED), node.position


def _by_group(sites: Iterable[GraphSite]) -> list[list[GraphSite]]:
    titles = dict.fromkeys(site.group for site in sites)
    distinct = sorted({*sites})
    return [[site for site in distinct if site.group == title] for title in titles]


def _split(sites: Sequence[GraphSite], links: set[tuple[GraphSite, GraphSite]]) -> list[list[GraphSite]]:
    """The sites of a group as few parts, each written before all that read it."""
    parts: list[list[GraphSite]] = []
    for site in sites:
        home = next((part for part in parts if _together([*part, site], links)), None)
        if home is None:
            parts.append([site])
        else:
            home.append(site)
    return parts


def _together(part: Sequence[GraphSite], links: set[tuple[GraphSite, GraphSite]]) -> bool:
    """Whether sites may be one variable: their readers lie behind all of them, and all of them or none read."""
    inside = {*part}
    readers = {b for a, b in links if a in inside and b not in inside}
    fed = {b for a, b in links if b in inside and a not in inside}
    within = {b for a, b in links if a in inside and b in inside}
    return (fed == inside or not fed | within) and all(site.before(reader) for site in part for reader in readers)


def _leading(
    parts: Sequence[Sequence[GraphSite]], reading: Mapping[GraphSite, set[int]], ends: set[GraphSite]
) -> set[int]:
    """The parts from which something leads to the answer."""
    found = {i for i, part in enumerate(parts) if ends & {*part}}
    todo = [*found]
    while todo:
        number = todo.pop()
        for other in {p for site in parts[number] for p in reading[site]} - {number} - found:
            found.add(other)
            todo.append(other)
    return found


def _variable(
    part: Sequence[GraphSite], number: int, reading: Mapping[GraphSite, set[int]], place: Mapping[int, int],
    labels: Sequence[str],
) -> GraphVariable:  # fmt: skip
    reads = tuple(tuple(sorted(place[i] for i in reading[site] - {number})) for site in part)
    return GraphVariable(part[0].group, tuple(part), reads, tuple(dict.fromkeys(labels)))
