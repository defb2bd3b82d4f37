"""Pass 4 on a computation graph: contexts become values by calling the graph's own functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.anatomy.names import Component
from scrub.claims.resolved import Claim
from scrub.engine.number import Numbered
from scrub.engine.plan import Input, Leaf, Program, SiteShape, Stream
from scrub.errors import DataError
from scrub.model.computation import Computation

Values = Mapping[str, Any]


@frozen(eq=False, slots=False)
class GraphRows:
    """Every row run once: `rows[d]` maps nodes to values; `frame(r)` is what unclaimed writers take there."""

    claim: Claim
    model: Computation

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return [self.model.run(row.columns) for row in self.claim.data.rows]

    @cached_property
    def _pseudo(self) -> list[dict[str, Any]]:
        """The mean (or zero) row of every stratum. Raises DataError where values have no mean."""
        claim = self.claim
        found: list[dict[str, Any]] = []
        for stratum in range(int(claim.stratum.max()) + 1):
            members = np.flatnonzero((claim.stratum == stratum) & claim.rest_from)
            found.append({
                name: 0 if claim.options.rest == "zero" or not members.size
                else _mean(name, [self.rows[d][name] for d in members])
                for name in self.model.nodes
            })  # fmt: skip
        return found

    def frame(self, row: int) -> Values:
        claim = self.claim
        if not claim.options.pseudo:
            return self.rows[row]
        if claim.options.rest == "mean" and not (claim.rest_from & (claim.stratum == claim.stratum[row])).any():
            return self.rows[row]  # empty="self"
        return self._pseudo[int(claim.stratum[row])]

    def outputs(self, rows: Int[np.ndarray, " call"]) -> list[Any]:
        """The model's own answer on rows."""
        return [self.rows[int(row)][self.answer] for row in rows]

    def whole(self, rows: Int[np.ndarray, " call"]) -> list[Any]:
        """The answer that reads whole the rows drawn for the empty claim."""
        node = self.model.nodes[self.answer]
        return [node.value(self.frame(int(row))) for row in rows]

    @cached_property
    def answer(self) -> str:
        return self.claim.answer.components[0].name


def _mean(node: str, values: Sequence[Any]) -> Any:
    try:
        return sum(values) / len(values)
    except TypeError as error:
        found = f"rest='mean': the values of node {node!r} have no mean ({error})"
        raise DataError(f"{found}; use rest='resample', which takes whole values.") from None


@frozen(eq=False)
class GraphEvaluator:
    """Evaluates programs on a computation graph."""

    rows: GraphRows
    program: Program

    def answers(self, numbered: Numbered) -> list[Any]:
        """The output node's value for every call, root after root."""
        values: dict[int, list[tuple[Any, ...]]] = {}
        for step, made in enumerate(self.program.steps):
            contexts = numbered.batches[step].contexts.tolist()
            if isinstance(made, Leaf):
                values[step] = [tuple(self.rows.rows[row][c.name] for c in made.components) for (row,) in contexts]
            elif isinstance(made, Stream):
                values[step] = [(self._seen(made, context, values),) for context in contexts]
            else:
                values[step] = [self.shape(made, context, values) for context in contexts]
        return [
            values[step][i][0]
            for (_, step), answer in zip(self.program.answers, numbered.answers, strict=True)
            for i in answer
        ]

    def _seen(self, stream: Stream, context: Sequence[int], values: Mapping[int, list[tuple[Any, ...]]]) -> Any:
        numbers = dict(zip(stream.sources, context[1:], strict=True))
        landed = {x.component: values[x.source][numbers[x.source]][x.index] for x in stream.landings}
        return self.seen(stream.argument, context[0], landed)

    def seen(self, argument: str, row: int, landed: Mapping[Component, Any]) -> Any:
        """What an argument reads in the frame of a row with values landed and passed-through nodes recomputed."""
        model, base = self.rows.model, self.rows.frame(row)
        given = {component.name: value for component, value in landed.items()}
        if argument in given:
            return given[argument]
        known = dict(base)
        known.update(given)
        for node in model.nodes.values():
            if self.is_free(node.name) and node.name not in given:
                known[node.name] = node.value(known)
        return known[argument]

    def is_free(self, name: str) -> bool:
        """Whether a node is recomputed in a frame: a function that is passed through, and that no site claims."""
        claim, component = self.rows.claim, Component.for_node(name)
        passed = component in claim.passed and (component, None) not in claim.claimed
        return passed and self.rows.model.nodes[name].function is not None

    def shape(
        self, shape: SiteShape, context: Sequence[int], values: Mapping[int, list[tuple[Any, ...]]]
    ) -> tuple[Any, ...]:
        """The values of a site's nodes from the rest rows and the streams of a context."""
        rests = len(context) - len(shape.views)
        numbers = dict(zip(shape.views, context[rests:], strict=True))
        read: dict[tuple[Component, str], Any] = {}
        for i in shape.inputs:
            for component in i.components:
                read[component, i.channel] = self._input(i, component, context[i.rest], numbers, values)
        return tuple(self.compute(component, read) for component in shape.components)

    def _input(
        self, i: Input, component: Component, row: int, numbers: Mapping[tuple[int, int, str], int],
        values: Mapping[int, list[tuple[Any, ...]]],
    ) -> Any:  # fmt: skip
        for _, stream in i.streams:
            return values[stream][numbers[stream, i.rest, i.channel]][0]
        return self.unseen(component, i.channel, row)

    def unseen(self, component: Component, argument: str, row: int) -> Any:
        """What an argument reads on a frame as it is; an input node reads its own column."""
        is_input = self.rows.model.nodes[component.name].function is None
        return self.rows.frame(row)[component.name if is_input else argument]

    def compute(self, component: Component, read: Mapping[tuple[Component, str], Any]) -> Any:
        node = self.rows.model.nodes[component.name]
        if node.function is None:
            return read[component, "input"]
        return node.value({a: read[component, a] for a in node.arguments})
