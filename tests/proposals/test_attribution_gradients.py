"""Gradients of every node against finite differences, and what every method gives on every model."""

from __future__ import annotations

import pytest
import torch
from exact_nodes import (
    FORMS,
    OF_KIND,
    Text,
    apart,
    batch_of,
    close,
    kinds_of,
    metric_by_hand,
    model_of,
    scores,
    text,
    ungrouped,
)
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.model.trace import trace
from scrub.proposals.attribute import first_order, keys_of
from scrub.proposals.edges import Edges
from scrub.proposals.forward import Key, PatchBatch
from scrub.proposals.methods import Asked, find, names
from scrub.proposals.methods.eap_ig import OVER
from scrub.proposals.nodes import extent
from scrub.proposals.patching import PlacedNode, effects

STEP = 1e-6
WITH_EDGES = [(name, "inputs") for name in names() if find(name).edges is not None]
WITH_EDGES += [("eap-ig", over) for over in OVER if over != "inputs"]


def keys_with_inputs(batch: PatchBatch) -> list[Key]:
    """Every node, and what MLPs read."""
    layers = range(batch.model.shape.n_layers if batch.model.shape.d_mlp else 0)
    return [*keys_of(kinds_of(batch.model), batch.model.shape), *(("mlp_input", layer) for layer in layers)]


def moving(key: Key, way: Tensor, step: float) -> object:
    def edit(kind: str, layer: int, x: Tensor) -> Tensor | None:
        return x + step * way if (kind, layer) == key else None

    return edit


SLOPES: list[tuple[str, dict[str, object]]] = [(name, {}) for name in FORMS]
SLOPES += [("gpt2", {"causal": False}), ("llama", {"window": 3}), ("attention only", {"norm": "none"})]


@pytest.mark.parametrize(("name", "changes"), SLOPES)
def test_gradients_are_slopes(name: str, changes: dict[str, object]) -> None:
    """T6: central differences of a pass in which the node is moved, along a random direction."""
    batch = batch_of(model_of(name, **changes))
    keys, generator = keys_with_inputs(batch), torch.Generator().manual_seed(0)
    run = batch.forward()
    torch.testing.assert_close(run.metric, metric_by_hand(batch, lambda *_: None), rtol=1e-12, atol=1e-12)
    for key, gradient in run.gradients(keys).items():
        way = torch.randn(gradient.shape, generator=generator, dtype=gradient.dtype)
        traced = OF_KIND[key[0]], key[1]
        ends = [metric_by_hand(batch, moving(traced, way, step)) for step in (STEP, -STEP)]  # type: ignore[arg-type]
        slope = (gradient * way).flatten(1).sum(1)
        close(slope, (ends[0] - ends[1]) / (2 * STEP), 1e-6)
        inside = [batch.forward(edit=moving(key, way, step)).metric for step in (STEP, -STEP)]  # type: ignore[arg-type]
        close(slope, ((inside[0] - inside[1]) / (2 * STEP)).detach(), 1e-6)


@pytest.mark.parametrize("metric", ["logit_diff(a, b)", "loss(a)", "prob_diff(a, b)", "kl"])
def test_gradients_of_every_metric(metric: str) -> None:
    batch = batch_of(model_of("llama"), metric=metric, own_is_base=False)
    for key, gradient in batch.forward().gradients([("embed", 0), ("head", 1), ("resid", 3)]).items():
        way = torch.ones_like(gradient).cumsum(-1) * gradient.sign()
        ends = [batch.forward(edit=moving(key, way, step)).metric for step in (STEP, -STEP)]  # type: ignore[arg-type]
        close((gradient * way).flatten(1).sum(1), ((ends[0] - ends[1]) / (2 * STEP)).detach(), 1e-5)


@pytest.mark.parametrize("name", FORMS)
def test_estimates_by_position_sum_to_those_of_all(name: str) -> None:
    """First-order estimates are sums over positions; so are those of queries and of head outputs, not of keys."""
    model = model_of(name, layers=2)
    for method in ("atp", "qkfix", "ig", "eap-ig"):
        each, whole = (scores(batch_of(model, each=each), method, steps=2) for each in (True, False))
        for kind in each:
            if (method, kind) != ("qkfix", "k"):
                close(each[kind].sum(-1), whole[kind][..., 0], 1e-11)
    each, whole = (scores(batch_of(model, each=each), "qkfix", "k")["k"] for each in (True, False))
    apart(each.sum(-1), whole[..., 0])


@pytest.mark.parametrize("method", names())
@pytest.mark.parametrize("name", FORMS)
def test_every_method_on_every_model(name: str, method: str) -> None:
    """Finite estimates of the promised shape, and a row alone is a row in a padded batch."""
    model = model_of(name, layers=2)
    kinds = kinds_of(model)
    chosen = [kind for kind in find(method).kinds if kind in kinds]
    assert chosen
    for each in (False, True):
        found = scores(batch_of(model, each=each), method, chosen, steps=2)
        assert set(found) == set(chosen)
        for kind, some in found.items():
            assert some.shape == (3, *extent(kind, model.shape), 7 if each else 1)
            assert torch.isfinite(some).all()
            assert not some.requires_grad
            live = (kind not in "qk") or method != "cplrp"
            assert bool(some.abs().max() > 1e-3) == live, kind
    alone = scores(batch_of(model, each=True, pick=[1]), method, chosen, steps=2)
    for kind, some in alone.items():
        width = some.shape[-1]
        torch.testing.assert_close(some, found[kind][1:2, ..., :width], rtol=1e-10, atol=1e-11)
        assert found[kind][1, ..., width:].abs().sum() < 1e-12  # padding


@pytest.mark.parametrize(("method", "over"), WITH_EDGES)
@pytest.mark.parametrize("name", FORMS)
def test_edges_of_a_row_alone(name: str, method: str, over: str) -> None:
    model, found = model_of(name, layers=2), find(method)
    assert found.edges is not None
    asked = Asked((), found.rules, steps=2, over=over)
    three, one = found.edges(batch_of(model), asked), found.edges(batch_of(model, pick=[1]), asked)
    assert isinstance(three, Edges)
    assert isinstance(one, Edges)
    assert three.scores.shape == (3, len(three.senders), len(three.readers))
    assert torch.isfinite(three.scores).all()
    torch.testing.assert_close(three.scores[1:2], one.scores, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("method", names())
def test_grouped_keys_and_values_are_nodes_of_every_query_head(method: str) -> None:
    """The same function with keys and values of its own for every query head has the same estimates."""
    model = model_of("llama", layers=2)
    for each in (False, True):
        grouped, wide = (scores(batch_of(m, each=each), method, steps=2) for m in (model, ungrouped(model)))
        for kind, some in grouped.items():
            torch.testing.assert_close(some, wide[kind], rtol=1e-10, atol=1e-11)
    edges = find(method).edges
    if edges is not None:
        asked = Asked((), find(method).rules, steps=2)
        both = [edges(batch_of(m), asked).scores for m in (model, ungrouped(model))]  # type: ignore[attr-defined]
        torch.testing.assert_close(*both, rtol=1e-10, atol=1e-11)


def test_a_case_of_several_nodes_is_patched_together() -> None:
    """Cases over kinds and layers against a pass in which all take their values; the embedding starts anew."""
    batch = batch_of(model_of("gpt2"), each=True)
    cases = [
        {
            PlacedNode(Component("head", 1, 2), 3),
            PlacedNode(Component("mlp", 2), 4),
            PlacedNode(Component("q", 1, 0), 4),
        },
        {
            PlacedNode(Component("embed"), 1),
            PlacedNode(Component("neuron", 0, 5), 2),
            PlacedNode(Component("resid", 3), 4),
        },
        {
            PlacedNode(Component("resid", 2), 4),
            PlacedNode(Component("v", 0, 3), 0),
            PlacedNode(Component("k", 2, 1), 2),
        },
    ]
    found = effects(batch, [frozenset(case) for case in cases], lambda n: None)
    own = metric_by_hand(batch, lambda *_: None)
    whole = ("embed", "attn", "mlp", "resid")
    for case, some in zip(cases, found, strict=True):

        def put(traced: str, layer: int, x: Tensor, case: set[PlacedNode] = case) -> Tensor | None:
            x = x.clone()
            for placed in case:
                kind, where = placed.node.kind, placed.node.layer or 0
                if (OF_KIND[kind], where) == (traced, layer):
                    at = slice(None) if kind in whole else placed.node.unit
                    x[:, placed.column, at] = batch.source_values[kind, layer][:, placed.column, at]
            return x

        close(some, metric_by_hand(batch, put) - own, 1e-12)
    last = frozenset({PlacedNode(Component("resid", 3), t) for t in range(7)})
    whole_run = effects(batch, [last], lambda n: None)[0]
    close(whole_run, (batch.swapped.forward().metric - batch.forward().metric).detach(), 1e-12)


def test_rows_and_cases_are_split_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(model_of("neox"), each=True)
    whole = scores(batch, "exact", ("head", "resid"))
    monkeypatch.setattr("scrub.proposals.patching.TOKENS", 50)
    for kind, some in scores(batch, "exact", ("head", "resid")).items():
        torch.testing.assert_close(some, whole[kind], rtol=1e-11, atol=1e-12)


def test_difference_times_gradient_by_hand() -> None:
    """AtP of one head, written out; source minus base, not the other way round."""
    batch = batch_of(model_of("gpt2"), each=True)
    run = batch.forward()
    gradient = run.gradients([("head", 1)])["head", 1]
    delta = batch.source_values["head", 1] - batch.base_values["head", 1]
    expected = (delta[:, 2, 3] * gradient[:, 2, 3]).sum(-1)
    close(scores(batch, "atp", ("head",))["head"][:, 1, 3, 2], expected, 1e-13)
    by_hand = first_order(batch, ("head",), run.nodes, {("head", n): gradient for n in range(3)})
    close(by_hand["head"][:, 1, 3, 2], expected, 1e-13)
    told = text()
    back = Text(told.source, told.base, told.labels)
    other = scores(batch_of(batch.model, back, each=True), "atp", ("head",))
    for own, swapped in zip(other.values(), scores(batch.swapped, "atp", ("head",)).values(), strict=True):
        torch.testing.assert_close(own, swapped, rtol=1e-12, atol=1e-13)


def added_by_attention(batch: PatchBatch, tokens: Tensor, layer: int) -> Tensor:
    """What enters the stream, as the stream before and after it tells."""
    seen: dict[str, Tensor] = {}

    def record(kind: str, at: int, x: Tensor) -> None:
        if at == layer and kind in ("resid_pre", "resid_mid"):
            seen[kind] = x

    trace(batch.model, tokens, batch.lengths, record)
    return seen["resid_mid"] - seen["resid_pre"]


@pytest.mark.parametrize("name", ["norms after", "joint head norms", "llama"])
def test_attention_is_what_enters_the_stream(name: str) -> None:
    """As an MLP is. Where a norm follows what its heads write together it is not the sum of their estimates."""
    batch = batch_of(model_of(name))
    found = scores(batch, "atp", ("head", "attn"))
    for layer in range(batch.model.shape.n_layers):
        source, base = (added_by_attention(batch, tokens, layer) for tokens in (batch.source, batch.base))

        def moved(step: float, layer: int = layer, way: Tensor = source - base) -> Tensor:
            past = ("resid_mid", "mlp_out")  # the MLP reads it, and it goes on beside what that writes
            return metric_by_hand(batch, lambda kind, at, x: x + step * way if at == layer and kind in past else None)

        slope = (moved(STEP) - moved(-STEP)) / (2 * STEP)
        close(found["attn"][:, layer, 0, 0], slope, 1e-7)
        if batch.model.shape.post_norms:
            apart(found["head"].sum(2)[:, layer, 0], slope)


def test_only_plain_runs_are_kept_as_the_base() -> None:
    """Values of a run that was edited, or that started elsewhere, are not taken for those of the base."""
    model = model_of("gpt2")
    plain = batch_of(model).base_values
    edited, started = batch_of(model), batch_of(model)
    edited.forward(edit=moving(("head", 0), torch.ones(()), 1.0))  # type: ignore[arg-type]
    started.forward(start=started.source_values["embed", 0])
    for batch in (edited, started):
        assert all(torch.equal(batch.base_values[key], value) for key, value in plain.items())
