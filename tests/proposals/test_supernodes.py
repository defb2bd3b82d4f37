"""Groups of a graph as variables: one where all of its sites can be read together, else as few as can be."""

from __future__ import annotations

import pytest

from scrub.proposals.attributed import LATENT, LOGIT, AttributionGraph, GraphNode
from scrub.proposals.supernodes import story_of


def node(name: str) -> GraphNode:
    layer, number, place = map(int, name.split("_"))
    return GraphNode(name, LOGIT if layer == 9 else LATENT, place, layer, number)


def variables(groups: str, links: str) -> list[tuple[str, list[tuple[int, ...]], tuple[int, ...]]]:
    """Each variable's title, its sites as (layer, position, latents), and the numbers of its parents."""
    made = [(part.split()[0], tuple(part.split()[1:])) for part in groups.split(", ")]
    names = {name for _, members in made for name in members} | {"9_0_3"}
    pairs = [tuple(link.split(">")) for link in links.split()]
    graph = AttributionGraph(
        "g.json", ("a", "b", "c", "d"), "m", {n: node(n) for n in names}, tuple(pairs), tuple(made)
    )  # type: ignore[arg-type]
    found = story_of(graph)
    return [(v.title, [(s.layer, s.position, *s.latents) for s in v.sites], v.parents) for v in found.variables]


@pytest.mark.parametrize(
    ("groups", "links", "wanted"),
    [
        ("G 0_1_1 1_2_1 1_3_1", "0_1_1>9_0_3 1_2_1>9_0_3", [("G", [(0, 1, 1), (1, 1, 2, 3)], ())]),
        # one of its sites lies behind a reader
        ("G 0_1_2 2_2_2, R 1_5_2", "0_1_2>1_5_2 1_5_2>9_0_3 2_2_2>9_0_3",
         [("G", [(0, 2, 1)], ()), ("R", [(1, 2, 5)], (0,)), ("G", [(2, 2, 2)], ())]),
        # so does its position
        ("G 0_1_2 0_2_3, R 1_5_2", "0_1_2>1_5_2 1_5_2>9_0_3 0_2_3>9_0_3",
         [("G", [(0, 2, 1)], ()), ("G", [(0, 3, 2)], ()), ("R", [(1, 2, 5)], (0,))]),
        # one of its sites reads, the other begins
        ("G 0_1_1 1_2_1, H 0_9_1", "0_9_1>1_2_1 0_1_1>9_0_3 1_2_1>9_0_3",
         [("G", [(0, 1, 1)], ()), ("H", [(0, 1, 9)], ()), ("G", [(1, 1, 2)], (1,))]),
        # a link within a variable says nothing where both of its ends read another
        ("G 1_1_1 2_2_1, H 0_9_1", "0_9_1>1_1_1 0_9_1>2_2_1 1_1_1>2_2_1 2_2_1>9_0_3",
         [("H", [(0, 1, 9)], ()), ("G", [(1, 1, 1), (2, 1, 2)], (0,))]),
        # what leads nowhere, and what follows it
        ("G 0_1_1, H 1_1_1, I 2_1_1", "0_1_1>9_0_3 0_1_1>1_1_1 1_1_1>2_1_1", [("G", [(0, 1, 1)], ())]),
    ],
)  # fmt: skip
def test_a_group_is_as_few_variables_as_can_be_read_whole(groups: str, links: str, wanted: object) -> None:
    assert variables(groups, links) == wanted
