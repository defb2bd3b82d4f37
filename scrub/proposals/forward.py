"""One batch of rows with their counterfactuals, its passes, and the gradients of the metric at every node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import numpy as np
import torch
from attrs import evolve, field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.claims.dataset import Row
from scrub.claims.metric import AnyMetric, Metric
from scrub.engine.passes import arrays_of_rows
from scrub.errors import MetricError, some
from scrub.metrics import Arguments, find
from scrub.model.bytes import row_bytes
from scrub.model.layers import PLAIN, Steps, unembed
from scrub.model.trace import trace
from scrub.model.weights import Transformer
from scrub.proposals.latents import LatentNodes
from scrub.proposals.nodes import TOLD, node_of
from scrub.proposals.space import NodeSpace
from scrub.score.metrics import differentiable

Key = tuple[str, int]  # kind of node, layer
Arrays = dict[Key, Tensor]  # [row t unit feature]; without units for embed, attn, mlp, resid; [row t unit] for neuron
Edit = Callable[[str, int, Tensor], Tensor | None]  # kind of node, layer, value -> what takes its place


# Shares of the memory: a batch with what is kept of its passes, and other batches' nodes; the rest is for cases that
# are patched
PASSES, KEPT = 0.5, 0.25


def pass_bytes(model: Transformer, length: int) -> int:
    """What a row takes: every node on base and source, and a pass with what its gradients need, and these."""
    s = model.shape
    of_layer = 5 * s.d_model + 4 * s.n_heads * s.d_head + 2 * s.d_mlp
    graph = s.n_heads * length + 3 * s.d_mlp + 4 * s.d_model  # of a layer: patterns, neurons, norms
    return length * s.n_layers * (4 * of_layer + graph) * model.dtype.itemsize


def kept_bytes(model: Transformer, length: int) -> int:
    """What a row takes that is kept: every node on base and source."""
    s = model.shape
    return 2 * length * s.n_layers * (4 * s.d_model + 4 * s.n_heads * s.d_head + s.d_mlp) * model.dtype.itemsize


def case_bytes(model: Transformer, length: int) -> int:
    """What a row takes in a case: a layer, and what is put into it with its mask."""
    return 2 * row_bytes(model, length)


@frozen(eq=False)
class Passes:
    """What was computed, in passes over one row from the first layer to the last. Grows as batches run.

    `rules` says of each rule of a call whether it was seen to be live.
    """

    count: dict[str, float] = field(factory=lambda: {"forward": 0.0, "backward": 0.0})
    rules: dict[str, str] = field(factory=dict[str, str])

    def add(self, what: str, rows: int | float) -> None:
        self.count[what] += rows


@frozen(slots=False, eq=False)
class PatchBatch:
    """Rows that are run together: `base` is the run that is patched, `source` the one that values come from.

    `rows` are the rows whose labels the metric reads, `answer` the index at which logits are read. `columns` says
    which positions belong to each column of a result (one column over all of them where nodes are summed).
    `references` are these rows, for a metric of one's own; `dictionaries` have latents as nodes, by their kind.
    """

    model: Transformer
    metric: AnyMetric
    arguments: Arguments
    rows: Int[np.ndarray, " row"]
    base: Int[Tensor, "row t"]
    source: Int[Tensor, "row t"]
    lengths: Int[Tensor, " row"]
    answer: Int[Tensor, " row"]
    columns: Float[Tensor, "row t column"]
    summed: bool
    own_is_base: bool
    passes: Passes
    references: tuple[Row, ...] = ()
    dictionaries: Mapping[str, LatentNodes] = field(factory=dict[str, LatentNodes])
    # kept by run, base or source: `swapped` exchanges them with the rows
    _kept: dict[str, Arrays] = field(factory=dict[str, Arrays], repr=False)

    @property
    def space(self) -> NodeSpace:
        return NodeSpace(self.model.shape, self.dictionaries)

    @property
    def source_values(self) -> Arrays:
        """Every node's value on the source rows."""
        return self._values("source", self.source)

    @property
    def base_values(self) -> Arrays:
        """Every node's value on the base rows, without a graph; the first pass on them keeps these."""
        return self._values("base", self.base)

    @property
    def swapped(self) -> PatchBatch:
        """The same rows with base and source exchanged."""
        kept = {{"base": "source", "source": "base"}[run]: values for run, values in self._kept.items()}
        base, source = self.source, self.base
        return evolve(self, base=base, source=source, own_is_base=not self.own_is_base, kept=kept)

    def _values(self, run: str, tokens: Int[Tensor, "row t"]) -> Arrays:
        if run not in self._kept:
            self.passes.add("forward", len(tokens))  # what it takes, run or read
            found = arrays_of_rows(self.model, tokens, self.lengths, TOLD)
            self._kept[run] = {(TOLD[traced], layer): value for (traced, layer), value in found.items()}
        return self._kept[run]

    def _pass(self, tokens: Int[Tensor, "row t"], edit: Edit, steps: Steps = PLAIN) -> Float[Tensor, "row d"]:
        def record(traced: str, layer: int, value: Tensor) -> Tensor | None:
            kind = TOLD.get(traced)
            return None if kind is None else edit(kind, layer, value.to(self.model.device))

        self.passes.add("forward", len(tokens))
        x = trace(self.model, tokens, self.lengths, record, steps=steps)
        return self.at_answer(x)

    def at_answer(self, x: Float[Tensor, "row t d"]) -> Float[Tensor, "row d"]:
        return x[torch.arange(len(x), device=x.device), self.answer]

    def forward(
        self, steps: Steps = PLAIN, edit: Edit | None = None, onward: Edit | None = None, start: Tensor | None = None
    ) -> Forward:
        """A pass on the base rows that can be differentiated.

        `edit` may put another tensor in the place of any node; `onward` in the place of what its readers get, the
        node itself untouched; `start` stands for the token embeddings.
        """
        nodes: Arrays = {}

        def keep(kind: str, layer: int, value: Tensor) -> Tensor:
            if kind == "embed":
                # The pass's graph begins here: nothing is asked of the table of embeddings, whose gradient would be
                # its size.
                value = (value if start is None else start).detach().requires_grad_()
            elif kind == "mlp_input":
                value = value.view_as(value)  # a branch of its own: its gradient is that of the MLP alone
            other = None if edit is None else edit(kind, layer, value)
            node = value if other is None else other
            nodes.setdefault((kind, layer), node)  # a backward pass may tell of a layer again
            passed = None if onward is None else onward(kind, layer, node)
            return node if passed is None else passed

        with torch.enable_grad():
            x = self._pass(self.base, keep, steps)
        # Only an untouched pass has the base rows' own values.
        if edit is None and start is None:
            self._kept.setdefault("base", {key: value.detach() for key, value in nodes.items()})
        with torch.enable_grad():
            return Forward(self, nodes, self.score(x, steps))

    def score(self, x: Float[Tensor, "row d"], steps: Steps = PLAIN) -> Float[Tensor, " row"]:
        """The metric of final streams, one for each row."""
        if isinstance(self.metric, Metric):
            return differentiable(self.metric, unembed(self.model, x, steps=steps), self.references)
        index = torch.from_numpy(self.rows).to(self.model.device)
        formula = find(self.metric)
        against = self.arguments.at(index, self.own_logits if formula.own else None)
        if formula.few is not None:
            return formula.on_few(unembed(self.model, x, against.needed, steps), against)
        return formula.on_logits(unembed(self.model, x, steps=steps), against)

    def ends(self) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
        """The metric of the base and of the source runs."""
        last = "resid", len(self.model.blocks)
        with torch.no_grad():
            base, source = (self.score(self.at_answer(v[last])) for v in (self.base_values, self.source_values))
        return base, source

    @cached_property
    def own_logits(self) -> Float[Tensor, "row v"]:
        """The model's own answers on the rows themselves."""
        values = self.base_values if self.own_is_base else self.source_values
        with torch.no_grad():
            return unembed(self.model, self.at_answer(values["resid", len(self.model.blocks)]))


@frozen(eq=False)
class Forward:
    """A pass with its graph: the nodes' values in it, and the metric of every row."""

    batch: PatchBatch
    nodes: Arrays
    metric: Float[Tensor, " row"]

    def gradients(self, keys: Iterable[Key], again: bool = False) -> Arrays:
        """The gradient of the metric at nodes; `again` keeps the graph for another backward pass.

        Raises MetricError where a gradient is not finite, naming the first node and its rows.
        """
        keys = list(keys)
        self.batch.passes.add("backward", len(self.batch.rows))
        wanted = [self.nodes[key] for key in keys]
        # Rows do not meet in a pass: the gradient of the sum is every row's own.
        found = torch.autograd.grad(self.metric.sum(), wanted, retain_graph=again, allow_unused=True)
        given: list[Tensor | None] = list(found)
        pairs = zip(keys, wanted, given, strict=True)
        gradients = {key: torch.zeros_like(node) if g is None else g for key, node, g in pairs}
        self._finite(gradients)
        return gradients

    def _finite(self, gradients: Arrays) -> None:
        for (kind, layer), gradient in gradients.items():
            # A sum is not finite where a term is not; it needs no array of flags.
            bad = ~torch.isfinite(gradient.flatten(1).sum(1))
            if bad.any():
                rows = self.batch.rows[bad.cpu().numpy()]
                node = node_of(kind, layer, 0)
                raise MetricError(
                    f"the gradient of {self.batch.metric} is not finite at {node} (layer {layer}, {kind}) in rows "
                    f"{some(rows.tolist())}: a label may have probability 0 there, or the model overflows."
                )
