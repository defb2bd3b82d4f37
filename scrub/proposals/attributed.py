"""Attribution graphs of circuit-tracer and Neuronpedia: the latents that are active on one prompt, and their links.

A file is a JSON object with `metadata` (prompt_tokens, scan), `nodes` (node_id, layer, ctx_idx, feature_type),
`links` (source, target, weight) and `qParams`, which hold what a person has pinned and grouped (Ameisen et al. 2025,
"Circuit Tracing"; circuit-tracer's graph_models.py). A latent's node_id is LAYER_LATENT_POSITION.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from scrub.errors import ClaimError, did_you_mean, some, unread

LATENT, ERROR, TOKEN, LOGIT = "cross layer transcoder", "mlp reconstruction error", "embedding", "logit"
KINDS = (LATENT, ERROR, TOKEN, LOGIT)
KEYS = ("metadata", "qParams", "nodes", "links")
MOST = 20  # problems that are shown


@frozen
class GraphNode:
    """A node: `layer` and `number` are a latent's, `number` alone the token's of an embedding or a logit."""

    name: str
    kind: str
    position: int
    layer: int = -1
    number: int = -1
    label: str = ""
    target: bool = False
    probability: float = 0.0


@frozen
class AttributionGraph:
    """What a file says: `groups` are what a person grouped or pinned, by title; `unknown` are members without a node.

    `links` are pairs of nodes' names, from sender to receiver.
    """

    file: str
    tokens: tuple[str, ...]
    model: str
    nodes: Mapping[str, GraphNode]
    links: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    unknown: tuple[str, ...] = field(default=())

    @property
    def ids(self) -> tuple[int, ...] | None:
        """The prompt's token ids, None where an embedding's node is missing."""
        found = {node.position: node.number for node in self.nodes.values() if node.kind == TOKEN}
        places = range(len(self.tokens))
        return tuple(found[i] for i in places) if all(i in found for i in places) else None

    def of(self, kind: str) -> list[GraphNode]:
        return [node for node in self.nodes.values() if node.kind == kind]


def read_graph(file: Path) -> AttributionGraph:
    """Raises ClaimError for what is no such file, with all nodes that are wrong, and where nothing is grouped."""
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ClaimError(f"{file}: no JSON that can be read: {unread(error)}.") from None
    _refuse(file, list(_outline(data)))
    tokens = data["metadata"]["prompt_tokens"]
    read = [_node(i, node, len(tokens)) for i, node in enumerate(data["nodes"])]
    wrong = [found for found in read if isinstance(found, str)]
    _refuse(file, [*wrong, *(text for i, link in enumerate(data["links"]) for text in _link(i, link))])
    nodes = {node.name: node for node in read if isinstance(node, GraphNode)}
    groups = _groups(data["qParams"], nodes, data["metadata"]["prompt_tokens"])
    if not any(names for _, names in groups):
        raise ClaimError(
            f"{file}: nothing is grouped: its qParams have no supernodes and no pinnedIds that are nodes of it. "
            "Variables are made of these: pin and group nodes (on Neuronpedia, or in circuit-tracer's viewer) and "
            "save the graph again."
        )
    links = tuple((link["source"], link["target"]) for link in data["links"] if link.get("weight", 1))
    unknown = tuple(n for n in _members(data["qParams"]) if n not in nodes)
    return AttributionGraph(
        str(file), tuple(tokens), str(data["metadata"].get("scan", "")), nodes, links, groups, unknown
    )


def _refuse(file: Path, problems: list[str]) -> None:
    more = [f"and {len(problems) - MOST:,} more"] if len(problems) > MOST else []
    if problems:
        raise ClaimError("\n".join(f"{file}: {text}" for text in [*problems[:MOST], *more]))


def _outline(data: Any) -> Iterator[str]:
    """What is wrong with the keys of the file and of its metadata."""
    if not isinstance(data, dict):
        yield f"an attribution graph is a JSON object with {', '.join(KEYS)}, found {type(data).__name__}."
        return
    found: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
    for key in (key for key in KEYS if key not in found):
        yield f"an attribution graph has {key!r}; found {some(map(repr, found), 6)}.{did_you_mean(key, found)}"
    for key, kind in zip(KEYS, (dict, dict, list, list), strict=True):
        if not isinstance(found.get(key, kind()), kind):
            yield f"{key!r} is no {'object' if kind is dict else 'list'}, found {type(found[key]).__name__}."
    metadata = found.get("metadata")
    if isinstance(metadata, dict):
        known: dict[str, Any] = metadata  # pyright: ignore[reportUnknownVariableType]
        tokens: Any = known.get("prompt_tokens")
        if not isinstance(tokens, list) or not tokens or not all(isinstance(t, str) for t in tokens):  # pyright: ignore[reportUnknownVariableType]
            yield f"metadata has no 'prompt_tokens', a list of texts.{did_you_mean('prompt_tokens', known)}"
    grouped: Any = found.get("qParams")
    if isinstance(grouped, dict):
        yield from _grouping(grouped)  # pyright: ignore[reportUnknownArgumentType]


def _grouping(grouped: Mapping[str, Any]) -> Iterator[str]:
    pinned, several = grouped.get("pinnedIds") or [], grouped.get("supernodes") or []
    if not isinstance(pinned, list) or not all(isinstance(name, str) for name in pinned):  # pyright: ignore[reportUnknownVariableType]
        yield "qParams: 'pinnedIds' is no list of node_ids."
    if not isinstance(several, list):
        yield "qParams: 'supernodes' is no list."
        return
    for one in several:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(one, list) or not one or not all(isinstance(name, str) for name in one):  # pyright: ignore[reportUnknownVariableType]
            yield f'qParams: a supernode is ["title", "node_id", ...], found {one!r:.60}.'


def _node(number: int, node: Any, length: int) -> GraphNode | str:
    """A node, or what is wrong with it."""
    if not isinstance(node, dict) or not isinstance(node.get("node_id"), str):  # pyright: ignore[reportUnknownMemberType]
        return f"nodes[{number}]: a node is an object with a node_id, found {node!r:.60}."
    given: dict[str, Any] = node  # pyright: ignore[reportUnknownVariableType]
    name, kind, position = given["node_id"], given.get("feature_type"), given.get("ctx_idx")
    if kind not in KINDS:
        return f"node {name!r}: feature_type {kind!r} is not known here. Known: {', '.join(KINDS)}."
    if type(position) is not int or not 0 <= position < length:
        return f"node {name!r}: ctx_idx {position!r} is no place among its {length} prompt_tokens."
    label = str(given.get("ppClerp") or given.get("clerp") or "")
    if kind == ERROR:
        return GraphNode(name, kind, position)
    parts = re.fullmatch(r"(E|[0-9]{1,6})_([0-9]{1,12})_([0-9]{1,9})", name)
    if parts is None or int(parts[3]) != position or (kind == LATENT) > (parts[1] == str(given.get("layer"))):
        there = f"of layer {given.get('layer')!r}, ctx_idx {position}"
        return f"node {name!r}: its node_id is no LAYER_LATENT_POSITION {there}."
    layer = int(parts[1]) if kind == LATENT else -1
    probability = given.get("token_prob")
    return GraphNode(
        name, kind, position, layer, int(parts[2]), label, given.get("is_target_logit") is True,
        float(probability) if isinstance(probability, int | float) else 0.0,
    )  # fmt: skip


def _link(number: int, link: Any) -> Iterator[str]:
    ends = [link.get("source"), link.get("target")] if isinstance(link, dict) else []  # pyright: ignore
    if len(ends) != 2 or not all(isinstance(end, str) for end in ends):
        yield f"links[{number}]: a link has a source and a target, found {link!r:.60}."


def _members(grouped: Mapping[str, Any]) -> dict[str, None]:
    several = grouped.get("supernodes") or []
    return dict.fromkeys([name for one in several for name in one[1:]] + (grouped.get("pinnedIds") or []))


def _groups(
    grouped: Mapping[str, Any], nodes: Mapping[str, GraphNode], tokens: Sequence[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Supernodes, then what is pinned alone, by its label. A node that is in several groups is the first one's."""
    taken: set[str] = set()
    found: list[tuple[str, tuple[str, ...]]] = []
    alone = [(_title(nodes[name], tokens), name) for name in grouped.get("pinnedIds") or [] if name in nodes]
    listed = [(one[0], one[1:]) for one in grouped.get("supernodes") or []] + [(t, [name]) for t, name in alone]
    for title, names in listed:
        members = tuple(n for n in dict.fromkeys(names) if n in nodes and n not in taken)
        taken |= {*members}
        if members:
            found.append((_distinct(title, [known for known, _ in found]), members))
    return tuple(found)


def _title(node: GraphNode, tokens: Sequence[str]) -> str:
    return node.label or (
        tokens[node.position].strip() if node.kind == TOKEN else f"latent {node.layer} {node.number}"
    )


def _distinct(title: str, known: list[str]) -> str:
    count = sum(one == title or one.startswith(f"{title} (") for one in known)
    return f"{title} ({count + 1})" if count else title
