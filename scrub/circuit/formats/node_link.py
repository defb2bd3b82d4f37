"""networkx' node-link data: `{"nodes": [{"id": "7.3"}], "edges": [{"source": "7.3", "target": "9.9.q"}]}`.

Its edges are the circuit (`links` in older versions), its nodes where there are no edges, or where they say
`in_circuit`. The channel stands in the target's name, in `channel` or in `key`, the position in `at`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.anatomy.edges import Edge, Node, Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.table import CHANNELS, ONE_CHANNEL
from scrub.circuit.formats import Format
from scrub.circuit.formats.entries import Entry, gather
from scrub.circuit.formats.named import named_parts
from scrub.errors import ClaimError

_WHOLE = tuple(f".{channel}" for channel in CHANNELS)  # a query, key or value that is a component of its own
FORM = "node-link data of networkx"


def looks(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> bool:
    nodes = data.get("nodes")
    return isinstance(nodes, list) and bool(nodes) and all(isinstance(n, dict) and "id" in n for n in nodes)  # pyright: ignore


def parts(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> Parts:
    """Raises ClaimError with every node and edge that is none."""
    edges = _list(data.get("edges", data.get("links", [])))
    nodes = [n for n in _list(data["nodes"]) if n.get("in_circuit", not edges)]
    found = gather((Entry("nodes", n) for n in nodes), FORM, lambda n: named_parts(_at(str(n["id"]), n), graph))
    found += gather((Entry("edges", e) for e in edges), FORM, lambda e: _edge(e, graph))
    sizes: Any = data.get("graph")
    named = sizes.get("made_for", {}) if isinstance(sizes, dict) else {}  # pyright: ignore
    return Parts(tuple(found), made_for=tuple(named.items()))  # pyright: ignore


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise ClaimError(f"read as {FORM}: nodes and edges are lists, found a {type(found).__name__}.")
    return found  # pyright: ignore[reportUnknownVariableType]


def _at(name: str, value: Mapping[str, Any]) -> str:
    return f"{name} @ {value['at']}" if value.get("at") not in (None, "") else name


def _edge(value: Any, graph: ModelGraph | None) -> tuple[Part, ...]:
    if not isinstance(value, dict) or not {"source", "target"} <= value.keys():
        raise ClaimError("an edge has a source and a target.")
    edge: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
    channel = edge.get("channel", edge.get("key"))
    target = str(edge["target"])
    if channel in CHANNELS or ((channel,) == ONE_CHANNEL and target.endswith(_WHOLE)):
        target = f"{target}.{channel}"
    return named_parts(_at(f"{edge['source']} -> {target}", edge), graph)


def data_of(found: Parts) -> dict[str, Any]:
    """What `networkx.node_link_graph(data, edges="edges")` reads."""
    nodes = sorted(part for part in found.listed if isinstance(part, Node))
    edges = sorted(part for part in found.listed if isinstance(part, Edge))
    ends = {str(end): False for edge in edges for end in (edge.sender, edge.receiver)}
    listed = {str(node): True for node in nodes}
    return {
        "directed": True, "multigraph": True, "graph": {"made_for": dict(found.made_for)} if found.made_for else {},
        "nodes": [{"id": name, "in_circuit": kept} for name, kept in {**ends, **listed}.items()],
        "edges": [_stored(edge) for edge in edges],
    }  # fmt: skip


def _stored(edge: Edge) -> dict[str, Any]:
    at = {} if edge.at is None else {"at": str(edge.at)}
    key = f"{edge.channel} @ {edge.at}" if at else edge.channel  # one edge a channel and position
    return {"source": str(edge.sender), "target": str(edge.receiver), "channel": edge.channel, "key": key, **at}


FORMAT = Format(
    'node-link data of networkx: {"nodes": [{"id": "7.3"}], "edges": [{"source": "7.3", "target": "9.9.q"}]}',
    looks, parts, whole=True, writes=data_of, name="node-link", place=11,
)  # fmt: skip
