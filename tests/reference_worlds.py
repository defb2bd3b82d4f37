"""What the oracle asks of a model, and how a computation graph answers: contexts with values placed in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, Protocol

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.resolved import Claim
from scrub.model.computation import Computation

Values = dict[tuple[Component, Slot | None], Any]  # what a site takes: [d], [t, d] at `all`, a node's value


class Frame(NamedTuple):
    """The row whose positions count, and what every writer writes on r."""

    row: int
    writes: dict[Component, Any]


class Context(NamedTuple):
    """A frame with values placed in it: what can be read (by node, or by kind and layer), what is written."""

    row: int
    reads: dict[Any, Any]
    writes: dict[Component, Any]
    puts: Values | None = None


class World(Protocol):
    """`compute` takes a context for each channel; `own` is that of the reader's own position."""

    plain: Callable[[int], dict[Component, Any]]

    def context(self, frame: Frame, given: Values) -> Context: ...
    def compute(self, component: Component, contexts: dict[str, Context], own: Context) -> Any: ...


def index(claim: Claim, slot: Slot, row: int) -> Any:
    """Where a slot is in a row; everywhere for `all`."""
    return slice(None) if slot == ALL else int(claim.data.locate(slot)[row])


class OnGraph:
    """Writers are nodes; a channel reads the node of its name."""

    def __init__(self, claim: Claim, model: Computation) -> None:
        self.claim, self.model = claim, model
        self.plain: Callable[[int], dict[Component, Any]] = cache(self._plain)

    def _plain(self, row: int) -> dict[Component, Any]:
        values = self.model.run(self.claim.data.rows[row].columns)
        return {Component.for_node(name): value for name, value in values.items()}

    def context(self, frame: Frame, given: Values) -> Context:
        known = {c.name: value for c, value in frame.writes.items()}
        for c in frame.writes if given else ():
            node = self.model.nodes[c.name]
            if (c, None) in given:
                known[c.name] = given[c, None]
            elif node.function and c in self.claim.passed and (c, None) not in self.claim.claimed:
                known[c.name] = node.value(known)
        return Context(frame.row, known, frame.writes)

    def compute(self, component: Component, contexts: dict[str, Context], own: Context) -> Any:
        node = self.model.nodes[component.name]
        if node.function is None:
            return own.writes[component]
        return node.value({c: contexts[c].reads[c] for c in node.arguments})
