"""EAP with integrated gradients: along embeddings from source to base (inputs), or one activation at a time."""

from __future__ import annotations

from collections.abc import Iterator

from scrub.proposals.attribute import Scores, first_order, keys_of
from scrub.proposals.edges import Edges, edge_scores, senders_between, summed
from scrub.proposals.forward import Arrays, Batch, Forward, Key
from scrub.proposals.methods import Asked, Method
from scrub.proposals.methods.ig import moved
from scrub.proposals.rules import steps_of


def nodes(batch: Batch, asked: Asked) -> Scores:
    """The difference times the mean gradient along the path of the embeddings."""
    keys = keys_of(asked.kinds, batch.model.shape)
    mean: Arrays = {}
    for run in _along(batch, asked):
        for key, gradient in run.gradients(keys).items():
            mean[key] = gradient / asked.steps + mean.get(key, 0)
    return first_order(batch, asked.kinds, batch.base_values, mean)


def edges(batch: Batch, asked: Asked) -> Edges:
    """Every edge's difference times the mean gradient along the path.

    Over `activations`, a sender's own value moves (embedding, a layer's attention, an MLP) while the others stay
    at the base run; each edge's gradients are those of its sender's path.
    """
    if asked.over == "activations":
        return _over_activations(batch, asked)
    found = (edge_scores(batch, run, asked.rules) for run in _along(batch, asked))
    return summed(found, 1 / asked.steps)


def _along(batch: Batch, asked: Asked) -> Iterator[Forward]:
    """Runs at `source + k/m (base - source)`, k from 0 to m - 1: the end at the base is not among them."""
    base, source = (values["embed", 0] for values in (batch.base_values, batch.source_values))
    for k in range(asked.steps):
        yield batch.forward(steps_of(asked.rules), start=source + k / asked.steps * (base - source))


def _over_activations(batch: Batch, asked: Asked) -> Edges:
    groups: list[Key] = keys_of(("embed", "attn", "mlp"), batch.model.shape)
    parts: list[Edges] = []
    for kind, layer in groups:
        for k in range(asked.steps):  # k = 0 is the source's end
            run = batch.forward(steps_of(asked.rules), edit=moved(batch, kind, layer, k / asked.steps))
            senders = senders_between(batch, only=(kind, layer))
            parts.append(edge_scores(batch, run, asked.rules, senders))
    return summed(parts, 1 / asked.steps)


METHOD = Method(
    "edges by integrated gradients, along the embeddings or the activations",
    "Hanna et al. 2024 (arXiv 2403.17806)",
    nodes,
    edges,
    elsewhere=True,
)
