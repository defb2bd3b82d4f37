"""Whether claims can be compared: one model, one data set, one metric of one answer, the same reference rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.anatomy.tolerances import SAME_METRIC
from scrub.claims.content import alike
from scrub.claims.resolved import Claim
from scrub.engine.on_graph import GraphRows
from scrub.errors import ClaimError, some
from scrub.model.computation import Computation
from scrub.score.in_use import differing
from scrub.score.sample import ClaimBench


@frozen
class Given:
    """One thing that claims must share: what it is of one claim, to compare and to tell."""

    what: str
    same: object
    words: str
    by_row: bool = False


def refuse_different(claims: Sequence[Claim], names: Sequence[str], models: Sequence[str]) -> None:
    """Raises ClaimError saying in what claims differ that must not; no weights are needed.

    `models` are what models are called where they are found.
    """
    wrong: list[str] = []
    one_data = len({claim.data.digest for claim in claims}) == 1
    for first, *others in zip(*map(_given, claims, models), strict=True):
        if first.by_row and not one_data:  # rows of other data stand in another order: nothing is told of them
            continue
        other = [f"{name}: {o.words}" for o, name in zip(others, names[1:], strict=True) if o.same != first.same]
        if other:
            why = f" ({differing(claims)})" if first.what == "data" else ""
            wrong.append(f"{first.what} differ: {'; '.join([f'{names[0]}: {first.words}', *other])}{why}")
    if wrong:
        raise ClaimError("these claims cannot be compared.\n" + "\n".join(f"    {line}" for line in wrong))


def _given(claim: Claim, model: str) -> list[Given]:
    metric, order = claim.metric, claim.data.order
    left_out = len(claim.data.origin) - len(claim.data)
    seen = f" (seen= leaves out {left_out})" if left_out else ""
    scored = f" by {claim.options.scored!r}" if claim.options.scored else ""
    nodes = f" of {some(claim.graph.nodes)}" if isinstance(claim.graph, Computation) else ""
    return [
        Given("models", (model, _anatomy(claim)), f"{model}{nodes}"),
        Given("data", claim.data.digest, f"{len(claim.data)} rows{seen}, digest {claim.data.digest[:8]}"),
        Given("metrics", (str(metric), metric.better), f"{metric}, {metric.better} is better"),
        Given("noise", claim.options.noise, " ".join(claim.options.noise) or "none"),
        Given("scored rows", claim.scored[order].tobytes(), f"{int(claim.scored.sum())} rows{scored}", True),
        Given("answers", _located(claim), f"read at {claim.answer}", True),
    ]


def refuse_other_numbers(
    benches: Sequence[ClaimBench], references: Sequence[Int[np.ndarray, " row"]], names: Sequence[str]
) -> None:
    """Functions are no text: models and metrics of functions are told apart by what they give. Raises ClaimError.

    The metric is asked for the model's answers on their own rows, and on one another's.
    """
    for bench, rows, name in zip(benches[1:], references[1:], names[1:], strict=True):
        own, other = benches[0].rows, bench.rows
        if isinstance(own, GraphRows) and isinstance(other, GraphRows) and not _same_values(own, other):
            raise _unlike("models", "the nodes of their graphs have other values on the same rows", names[0], name)
        for turn in (0, 1):
            first = benches[0].measured.of(own.outputs(np.roll(references[0], turn)), references[0])
            second = bench.measured.of(other.outputs(np.roll(rows, turn)), rows)
            if not np.allclose(first, second, rtol=SAME_METRIC, atol=SAME_METRIC, equal_nan=True):
                raise _unlike("models or metrics", "the same rows have other numbers", names[0], name)


def _unlike(what: str, why: str, a: str, b: str) -> ClaimError:
    return ClaimError(f"these claims cannot be compared: {a} and {b} have different {what} ({why}).")


def _anatomy(claim: Claim) -> object:
    if isinstance(claim.graph, Computation):
        return {name: sorted(node.arguments) for name, node in claim.graph.nodes.items()}
    return claim.graph


def _located(claim: Claim) -> object:
    order = claim.data.order
    return claim.answer.components, [claim.data.locate(slot)[order].tobytes() for slot in claim.answer.at]


def _same_values(a: GraphRows, b: GraphRows) -> bool:
    if all(node.function is b.model.nodes[name].function for name, node in a.model.nodes.items()):
        return True
    pairs = zip(a.claim.data.order.tolist(), b.claim.data.order.tolist(), strict=True)
    return all(alike(a.rows[i]) == alike(b.rows[j]) for i, j in pairs)
