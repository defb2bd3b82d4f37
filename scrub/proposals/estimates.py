"""Estimates of many nodes on all rows, by several methods that share each batch's runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float

from scrub.claims.metric import NamedMetric
from scrub.errors import MetricError
from scrub.metrics import find
from scrub.proposals.agreement import over_rows
from scrub.proposals.edges import Edges
from scrub.proposals.methods import Asked, Method
from scrub.proposals.patching import PlacedNode
from scrub.proposals.setup import Setup
from scrub.proposals.space import NodeSpace

ByKind = dict[str, Float[np.ndarray, "row layer unit column"]]


@frozen(eq=False)
class Call:
    """One use of a method."""

    method: Method
    asked: Asked


@frozen(eq=False)
class Estimates:
    """Signed estimates of nodes at columns of positions, one for each row."""

    nodes: tuple[PlacedNode, ...]
    values: Float[np.ndarray, "row node"]

    @classmethod
    def of(cls, found: Mapping[str, Float[np.ndarray, "row layer unit column"]], space: NodeSpace) -> Estimates:
        """Kinds in their order, then layers, units, columns."""
        nodes = [
            PlacedNode(node, column)
            for kind, values in found.items()
            for node in space.nodes(kind)
            for column in range(values.shape[3])
        ]
        flat = [values.reshape(len(values), -1) for values in found.values()]
        return cls(tuple(nodes), np.concatenate(flat, axis=1) if flat else np.zeros((0, 0)))

    def mean(self, absolute: bool) -> Float[np.ndarray, " node"]:
        return over_rows(self.values, absolute)


def estimate(setup: Setup, calls: Sequence[Call], done: Callable[[int], None]) -> list[ByKind]:
    """What every call finds, in the order of the setup's rows. Raises MetricError for gradients that are all 0."""
    for call in calls:
        _sloped(setup, call.method)
    found: list[ByKind] = [{} for _ in calls]
    for chosen, batch in setup.batches():
        for into, call in zip(found, calls, strict=True):
            for kind, scores in call.method.nodes(batch, call.asked).items():
                values = scores.double().cpu().numpy()
                if kind not in into:
                    into[kind] = np.zeros((len(setup.rows), *values.shape[1:]))
                into[kind][chosen] = values
            done(0 if call.method.exact else len(chosen))  # which tells of its patches itself
    for into, call in zip(found, calls, strict=True):
        if call.method.gradient and not any(values.any() for values in into.values()):
            raise MetricError(_dead(setup, call.method.name))
    return found


def edges_of(setup: Setup, call: Call, done: Callable[[int], None], absolute: bool) -> Edges | None:
    """The mean over rows of a method's estimates of edges, or of their absolute values; None where it has none."""
    if call.method.edges is None:
        return None
    _sloped(setup, call.method)
    total: Edges | None = None
    for chosen, batch in setup.batches():
        part = call.method.edges(batch, call.asked)
        scores = part.scores.abs() if absolute else part.scores
        share = scores.sum(0, keepdim=True).double() / len(setup.rows)
        total = evolve(part, scores=share if total is None else total.scores + share)
        done(len(chosen))
    return total


def _sloped(setup: Setup, method: Method) -> None:
    """Raises MetricError for a metric that has no slope where it is taken: kl at its smallest."""
    named = isinstance(setup.metric, NamedMetric) and find(setup.metric).flat
    flat = named and setup.experiment.noising and not method.elsewhere
    if flat and method.gradient:
        raise MetricError(
            f"{setup.metric} has no slope at the model's own run, where {method.name} takes it under noising: every "
            "estimate would be 0. Use direction='denoising', method='eap-ig' or 'ig', or a metric of the answer: "
            "logit_diff."
        )


def _dead(setup: Setup, method: str) -> str:
    return (
        f"every estimate of {method} is 0: the metric {setup.metric} does not change with anything that the rows' "
        "partners change."
    )
