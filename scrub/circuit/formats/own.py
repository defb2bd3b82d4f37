"""Our own JSON: `{"nodes": ["9.6 @ END"], "edges": ["7.3 -> 9.9.q"]}`, and beside them what a circuit carries.

`made_for` are sizes of the model (`{"n_layers": 12}`), `roles` lists of parts by name; `"computation": true` says
that names are those of a computation graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.anatomy.edges import Edge, Node, Part, Parts, parts_in_order
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.circuit.formats import Format
from scrub.circuit.formats.entries import Entry, gather
from scrub.circuit.formats.named import named_parts
from scrub.errors import ClaimError, did_you_mean

FORM = "our JSON of nodes and edges"
_KEYS = ("nodes", "edges", "made_for", "roles", "computation")


def is_own(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> bool:
    return any(isinstance(data.get(key), list) for key in ("nodes", "edges"))


def parts_of_own(data: Mapping[Any, Any], graph: ModelGraph | None = None) -> Parts:
    """Raises ClaimError for keys that it does not know and for every bad name."""
    unknown = [key for key in data if key not in _KEYS]
    if unknown:
        raise ClaimError(f"read as {FORM}: unknown key {unknown[0]!r}.{did_you_mean(str(unknown[0]), _KEYS)}")
    made_for, roles = _object(data, "made_for"), _object(data, "roles")
    wrong = [name for name, size in made_for.items() if type(size) is not int]
    if wrong:
        raise ClaimError(f"read as {FORM}: made_for {wrong[0]} is {made_for[wrong[0]]!r}, not a whole number.")
    known = bool(data.get("computation"))
    lists = [(key, data.get(key, [])) for key in ("nodes", "edges")] + [(f"role {n!r}", v) for n, v in roles.items()]
    sizes, members = tuple(made_for.items()), [_members(key, value, known, graph) for key, value in lists]
    named = tuple((name, frozenset(parts)) for name, parts in zip(roles, members[2:], strict=True))
    return Parts(tuple(members[0] + members[1]), named, sizes)


def own_data(parts: Parts) -> dict[str, Any]:
    """Parts as data of JSON, read back equal. Raises ClaimError for what has no such form."""
    nodes = [part for part in parts.listed if isinstance(part, Node)]
    edges = [part for part in parts.listed if isinstance(part, Edge)]
    data: dict[str, Any] = {
        "nodes": [str(n) for n in parts_in_order(nodes)],
        "edges": [str(e) for e in parts_in_order(edges)],
    }
    if any(_is_computed(part) for part in parts.listed):
        data["computation"] = True
    if parts.made_for:
        data["made_for"] = dict(parts.made_for)
    if parts.roles:
        data["roles"] = {name: sorted(map(str, some)) for name, some in parts.roles}
    if set(parts_of_own(data).listed) != set(parts.listed):
        text = ", ".join(data["nodes"] + data["edges"])
        raise ClaimError(f"the circuit cannot be written: the names of its parts are not read back ({text}).")
    return data


def _object(data: Mapping[Any, Any], key: str) -> dict[str, Any]:
    found = data.get(key, {})
    if not isinstance(found, dict):
        raise ClaimError(f"read as {FORM}: {key!r} is a {type(found).__name__}, not an object.")
    return found  # pyright: ignore[reportUnknownVariableType]


def _members(key: str, value: Any, computed: bool, graph: ModelGraph | None) -> list[Part]:
    if not isinstance(value, list):
        raise ClaimError(f"read as {FORM}: {key} is a {type(value).__name__}, not a list of names.")
    listed: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
    entries = [Entry(f"{key}, entry {i}", name) for i, name in enumerate(listed, start=1)]
    return gather(entries, FORM, _computed if computed else lambda name: named_parts(name, graph))


def _is_computed(part: Part) -> bool:
    return (part.component if isinstance(part, Node) else part.receiver).traits.is_node


def _computed(name: Any) -> tuple[Part, ...]:
    """A node or an edge of a computation graph, whose names hold no space."""
    words = name.split() if isinstance(name, str) else []
    if len(words) == 1:
        return (Node(Component.for_node(words[0])),)
    if len(words) == 3 and words[1] == "->":
        return (Edge(Component.for_node(words[0]), Component.for_node(words[2]), words[0]),)
    raise ClaimError("a part of a computation graph is written h1 or h1 -> h2.")


FORMAT = Format(
    'JSON of ours: {"nodes": ["9.6 @ END"], "edges": ["7.3 -> 9.9.q"]}',
    is_own, parts_of_own, whole=True, writes=own_data, name="scrub", place=2, general=True,
)  # fmt: skip
