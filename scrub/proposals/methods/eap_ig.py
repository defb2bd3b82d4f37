"""EAP with integrated gradients: along the embeddings from source to base (inputs), or one activation at a time.

The points of a path (`scrub.proposals.methods.ig.POINTS`) are, unless asked for, those of the official code, in
which nodes and edges differ (github.com/hannamw/EAP-IG, attribute_node.py and attribute.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from scrub.model.weights import Mlp
from scrub.proposals.attribute import Scores, checked, first_order, keys_of, ruled
from scrub.proposals.edges import Edges, edge_scores, mean_scores, senders_between, summed
from scrub.proposals.forward import Arrays, Forward, Key, PatchBatch
from scrub.proposals.methods import Asked, Method, ig
from scrub.proposals.rules import steps_of

OVER = {"inputs": ("right", "left"), "activations": ("right", "right"), "senders": ("midpoint", "midpoint")}
Run = tuple[Key | None, float]  # what moves (None: the embeddings), and where it is between source and base


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """The difference times the mean gradient over all runs; over `senders`, over those in which it moves (`ig`)."""
    if asked.over == "senders":
        if set(asked.rules) - set(batch.passes.rules):
            ruled(batch, (), asked.rules)  # only to see these live: where a layer is moved, its rules have no say
        return ig.nodes(batch, asked)
    runs = list(_runs(batch, asked, OVER[asked.over][0]))
    mean: Arrays = {}
    for run in runs:
        for key, gradient in checked(batch, _forward(batch, asked, run), asked.kinds, asked.rules).items():
            mean[key] = gradient / len(runs) + mean.get(key, 0)
    return first_order(batch, asked.kinds, batch.base_values, mean)


def edges(batch: PatchBatch, asked: Asked) -> Edges:
    """Every edge's difference times the mean gradient over runs.

    Over `activations`, the embedding, the heads of a layer or an MLP move, one after another, while the others are
    computed; the mean for every edge is that over all of these runs. Over `senders`, it is over the runs in which
    its own sender moves.
    """
    runs = _runs(batch, asked, OVER[asked.over][1])
    if asked.over != "senders":
        return mean_scores(batch, (_forward(batch, asked, run) for run in runs), asked.rules)
    found = (
        edge_scores(batch, _forward(batch, asked, run), asked.rules, senders_between(batch, run[0])) for run in runs
    )
    return summed(found, 1 / asked.steps)


def _runs(batch: PatchBatch, asked: Asked, points: str) -> Iterator[Run]:
    paths = [None] if asked.over == "inputs" else keys_of(("embed", "attn", "mlp"), batch.model.shape)
    for path in paths:
        for share in ig.toward_base(asked.points or points, asked.steps):
            yield path, share


def _forward(batch: PatchBatch, asked: Asked, run: Run) -> Forward:
    path, share = run
    if path is None:
        base, source = (values["embed", 0] for values in (batch.base_values, batch.source_values))
        return batch.forward(steps_of(asked.rules), start=source + share * (base - source))
    return batch.forward(steps_of(asked.rules), edit=ig.moved(batch, *_parts(batch, path), share))


def _parts(batch: PatchBatch, path: Key) -> Key:
    """What is moved for a layer's write: the finest that it is linear in, so that its parts have gradients, too."""
    kind, layer = path
    known = kind == "mlp" and isinstance(batch.model.blocks[layer].mlp, Mlp)
    return ("head" if kind == "attn" else "neuron" if known else kind), layer


METHOD = Method(
    "integrated gradients along the embeddings, or along activations",
    "Hanna et al. 2024 (arXiv 2403.17806)",
    nodes,
    edges,
    elsewhere=True,
    takes=("rules", "steps", "over", "points"),
)
