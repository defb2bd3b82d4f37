"""Circuits as EAP-IG and the MIB benchmark store them: a graph as JSON, each node and edge marked `in_graph`.

`{"cfg": {"n_layers": 12, ...}, "nodes": {"a0.h0": {"in_graph": true}, ...}, "edges": {"input->a0.h0<q>": {"score":
0.1, "in_graph": true}, ...}}` (`Graph.to_json` of EAP-IG 2.0). The edges in the graph are the circuit: in that format
the nodes are those that the edges join.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.anatomy.edges import Edge, Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import EMBED, POS, Component
from scrub.circuit.formats import Format, Scores
from scrub.circuit.formats.entries import Entry, gather, gather_scores
from scrub.circuit.formats.named import named_parts
from scrub.errors import ClaimError, some

FORM = "a graph of EAP-IG or MIB"
_SIZES = ("n_layers", "n_heads", "d_model")


def is_graph(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> bool:
    return isinstance(data.get("edges"), dict)


def parts_of_graph(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> Parts:
    """The edges that are in the graph; `made_for` what its `cfg` says. Raises ClaimError."""
    edges, nodes, cfg = data["edges"], _mapping(data, "nodes"), _mapping(data, "cfg")
    if edges and not any(_marked(value) for value in edges.values()):
        raise ClaimError(
            f"read as {FORM}: none of its {len(edges)} edges says whether it is in_graph. Scores alone are no "
            "circuit: say how many are, top=K, or choose the edges first (apply_topn or apply_greedy in EAP-IG)."
        )
    _whole_components(nodes)
    parts = gather((Entry("nodes", name) for name in nodes), FORM, _node)
    assert not parts, "nodes are checked, the edges are the circuit"
    found = gather((Entry("edges", item) for item in edges.items()), FORM, _edge)
    if edges and not found and all(isinstance(value, dict) and "score" in value for value in edges.values()):
        raise ClaimError(
            f"an empty circuit: none of its {len(edges)} edges is in_graph, but all have scores: "
            "say how many are, top=K."
        )
    sizes = [(name, cfg[name]) for name in _SIZES if type(cfg.get(name)) is int]
    return Parts(tuple(part for part in found if isinstance(part, Edge)), made_for=tuple(sizes))


def _mapping(data: Mapping[Any, Any], key: str) -> Mapping[Any, Any]:
    found = data.get(key, {})
    if not isinstance(found, dict):
        raise ClaimError(f"read as {FORM}: {key!r} is a {type(found).__name__}, not an object.")
    return found  # pyright: ignore[reportUnknownVariableType]


def _marked(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, dict) and "in_graph" in value)


def _kept(value: Any) -> bool:
    mark = value["in_graph"] if _marked(value) and isinstance(value, dict) else value
    if mark not in (True, False) or isinstance(mark, float):
        raise ClaimError("it does not say in_graph true or false.")
    return bool(mark)


def _node(name: str) -> tuple[Part, ...]:
    """Nothing, for a name that is one of a node."""
    if name != "input":
        named_parts(name)
    return ()


def _edge(item: tuple[str, Any]) -> tuple[Part, ...]:
    name, value = item
    if not _kept(value):
        return ()
    if "->" not in name:
        raise ClaimError("an edge is written sender->receiver.")
    return named_parts(name)


def _whole_components(nodes: Mapping[Any, Any]) -> None:
    """Raises ClaimError when only some neurons of a node are in the graph: our edges carry whole components."""
    partial = [
        name
        for name, value in nodes.items()
        if isinstance(value, dict) and value.get("in_graph") and not all(value.get("neurons", ()))  # pyright: ignore
    ]
    if partial:
        raise ClaimError(
            f"read as {FORM}: of {some(partial)} only some neurons are in the graph, but circuits here are made of "
            "whole components. Store a graph that was pruned by edges or by nodes."
        )


def scores_of_graph(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> Scores:
    """The score of every edge, in the graph or not: MIB's importances. Raises ClaimError."""
    return gather_scores((Entry("edges", item) for item in data["edges"].items()), FORM, _scored)


def _scored(item: tuple[str, Any]) -> list[tuple[Part, float]]:
    name, value = item
    score: Any = value.get("score") if isinstance(value, dict) else value  # pyright: ignore
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise ClaimError("it has no score that is a number.")
    return [(part, float(score)) for part in named_parts(name)]


def data_of(found: Parts) -> dict[str, Any]:
    """The graph as `Graph.to_json` of EAP-IG has it: the circuit's edges and nodes, all in the graph, scores 1.

    Raises ClaimError for positions, the position embedding and components alone, which it has no names for.
    """
    edges = sorted(part for part in found.listed if isinstance(part, Edge))
    strange = [str(edge) for edge in edges if edge.at is not None or edge.sender == POS]
    if strange or not edges:
        what = f"of {some(strange)} it has no names" if strange else "it holds edges, and the circuit has none"
        raise ClaimError(f"the circuit cannot be written as {FORM}: {what}.")
    ends = dict.fromkeys(name for edge in edges for name in (_called(edge.sender), _called(edge.receiver)))
    return {
        "cfg": dict(found.made_for),
        "nodes": {name: {"in_graph": True} for name in ends},
        "edges": {_name(edge): {"score": 1.0, "in_graph": True} for edge in edges},
    }


def _name(edge: Edge) -> str:
    channel = f"<{edge.channel}>" if edge.receiver.traits.attends else ""
    return f"{_called(edge.sender)}->{_called(edge.receiver)}{channel}"


def _called(component: Component) -> str:
    """`a9.h6`, `m0`, `input`, `logits`."""
    if component.traits.attends:
        return f"a{component.layer}.h{component.unit}"
    if component.traits.layered:
        return f"m{component.layer}"
    return "input" if component == EMBED else str(component)


FORMAT = Format(
    'a graph of EAP-IG or MIB as JSON: {"cfg": ..., "nodes": ..., "edges": {"a9.h6->logits": {"in_graph": true}}}',
    is_graph, parts_of_graph, whole=True, place=3, scores=scores_of_graph, writes=data_of, name="eap-ig",
)  # fmt: skip
