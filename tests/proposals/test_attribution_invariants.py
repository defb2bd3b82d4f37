"""What must hold of estimates whatever the weights are: exactness where a model is linear, conservation, symmetry."""

from __future__ import annotations

import attrs
import pytest
import torch
from exact_nodes import (
    FORMS,
    Form,
    apart,
    batch_of,
    close,
    frozen_effects,
    joint,
    kinds_of,
    made,
    model_of,
    scores,
    seen_pattern,
    text,
)
from torch import Tensor

from scrub.errors import ClaimError
from scrub.proposals.attribute import first_order, keys_of
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, find, names
from scrub.proposals.methods.graddrop import dropped
from scrub.proposals.nodes import extent
from scrub.proposals.rules import RELP, RULES, applies, steps_of

BARE = Form(norm="none", mlp=False)
ATTENTION = {
    "causal": {},
    "saturated": {"qk": 12.0},
    "windowed": {"window": 3},
    "bidirectional": {"causal": False},
    "grouped, rotary": {"n_kv": 2, "positions": "rotary"},
    "windowed, bidirectional, saturated": {"window": 2, "causal": False, "qk": 12.0},
    "sinks": {"sinks": True},
    "sinks, windowed, saturated": {"sinks": True, "window": 1, "qk": 12.0},
}


@pytest.mark.parametrize("each", [False, True], ids=["summed", "each position"])
@pytest.mark.parametrize("name", ATTENTION)
def test_the_fix_is_exact_where_only_the_softmax_bends(name: str, each: bool) -> None:
    """T1: one layer of attention without norms."""
    batch = batch_of(made(attrs.evolve(BARE, **ATTENTION[name]), layers=1), each=each)
    exact, fixed, first = (scores(batch, method, "qk") for method in ("exact", "qkfix", "atp"))
    for kind in "qk":
        close(fixed[kind], exact[kind], 1e-12)
        apart(first[kind], exact[kind], 0.1)


def test_saturated_means_saturated() -> None:
    shares = seen_pattern(batch_of(made(attrs.evolve(BARE, qk=12.0), layers=1)), 0)[0, :, 1:].max(-1).values
    assert (shares > 0.9999995).double().mean() > 0.3


@pytest.mark.parametrize("name", ["attention only", "gpt2", "neox"])
def test_rules_are_the_frozen_model(name: str) -> None:
    """T2: RelP with ln, attention and identity is patching, and AtP, in the frozen run."""
    batch = batch_of(model_of(name, layers=2), each=True, pick=[1, 2])
    kinds = tuple(kind for kind in kinds_of(batch.model) if kind not in ("q", "k"))
    found = scores(batch, "relp", kinds, rules=("ln", "identity", "attention"))
    plain = scores(batch, "atp", kinds)
    for kind in kinds:
        exact, first = frozen_effects(batch, kind)
        close(first, exact, 1e-11)
        close(found[kind], exact, 1e-11)
        apart(plain[kind], exact)


@pytest.mark.parametrize("name", FORMS)
def test_a_constant_pattern_leaves_nothing_to_queries_and_keys(name: str) -> None:
    found = scores(batch_of(model_of(name)), "cplrp", ("q", "k", "v"))
    assert not found["q"].any()
    assert not found["k"].any()
    assert found["v"].abs().min() > 0


@pytest.mark.parametrize("name", FORMS)
def test_attention_splits_what_it_passes_on(name: str) -> None:
    """A quarter to queries, a quarter to keys, half to values; behind it as ever."""
    batch = batch_of(model_of(name, layers=1))
    kinds = ("q", "k", "v", "head")
    plain, split = (scores(batch, "relp", kinds, rules=rules) for rules in ((), ("split",)))
    for kind, part in zip(kinds, (0.25, 0.25, 0.5, 1.0), strict=True):
        close(split[kind], part * plain[kind], 1e-12)


def test_the_fix_takes_the_gradients_of_its_rules() -> None:
    """RelP with the QK fix: its other nodes are RelP's, and queries and keys are no longer those of AtP."""
    batch = batch_of(model_of("gpt2"), each=True)
    found, relp, fixed = (
        scores(batch, method, rules=rules) for method, rules in (("qkfix", RELP), ("relp", RELP), ("qkfix", ()))
    )
    for kind, some in found.items():
        if kind in ("q", "k"):
            apart(some[:, 0], fixed[kind][:, 0])
            apart(some, relp[kind])
        else:
            close(some, relp[kind], 1e-12)


def test_divergence_is_from_the_rows_own_answers() -> None:
    """Exchanging base and source leaves the answers that `kl` compares with those of the row."""
    batch = batch_of(model_of("gpt2"), metric="kl", own_is_base=True)
    assert batch.forward().metric.abs().max() < 1e-12
    assert batch.swapped.forward().metric.min() > 1e-2
    assert batch.swapped.swapped.forward().metric.abs().max() < 1e-12


ALL = ("ln", "identity", "half", "attention")


def relevance(batch: PatchBatch, rules: tuple[str, ...]) -> Tensor:
    """The whole stream times its gradient, summed over positions, at every layer, over the metric."""
    run = batch.forward(steps_of(rules))
    gradients = run.gradients(keys_of(("resid",), batch.model.shape))
    sums = [(run.nodes[key] * gradient).sum((1, 2)) for key, gradient in gradients.items()]
    return (torch.stack(sums) / run.metric).detach()


@pytest.mark.parametrize("name", FORMS)
def test_relevance_is_conserved_without_biases(name: str) -> None:
    """T3."""
    batch = batch_of(model_of(name, biased=False))
    found = relevance(batch, ALL)
    torch.testing.assert_close(found, torch.ones_like(found), rtol=1e-10, atol=0)
    for rule in ALL:
        broken = relevance(batch, tuple(other for other in ALL if other != rule))
        live = any(applies(rule, batch.model, layer) for layer in range(3))
        assert ((broken - 1).abs() > 1e-2).any() == live, rule


def test_biases_take_relevance() -> None:
    assert (relevance(batch_of(model_of("gpt2")), ALL)[0] - 1).abs().min() > 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
@pytest.mark.parametrize("name", FORMS)
def test_rules_change_gradients_and_no_value(name: str, dtype: torch.dtype) -> None:
    """T4: bit by bit."""
    model = model_of(name).to(dtype)
    for metric in ("logit_diff(a, b)", "loss(a)"):
        batch = batch_of(model, metric=metric)
        plain = batch.forward()
        before = plain.gradients([("embed", 0)])["embed", 0]
        for rules in [*((rule,) for rule in RULES), ALL, ("ln", "identity", "half", "split")]:
            run = batch.forward(steps_of(rules))
            assert torch.equal(run.metric, plain.metric)
            assert all(torch.equal(run.nodes[key], node) for key, node in plain.nodes.items())
            after = run.gradients([("embed", 0)])["embed", 0]
            live = any(applies(rule, model, layer) for rule in rules for layer in range(3))
            assert bool((after - before).norm() > 1e-3 * before.norm()) == live, rules


@pytest.mark.parametrize("name", FORMS)
def test_graddrop_drops_one_layer_at_a_time(name: str) -> None:
    """T5: the gradient with what one layer writes held constant; own layer 0, layers below as in AtP."""
    batch = batch_of(model_of(name), each=True)
    keys = keys_of(kinds_of(batch.model), batch.model.shape)
    plain = batch.forward().gradients(keys)
    total = {kind: torch.zeros(()) for kind in kinds_of(batch.model)}
    for drop, (values, found) in enumerate(dropped(batch, keys)):

        def constant(kind: str, layer: int, x: Tensor, drop: int = drop) -> Tensor | None:
            return x.detach() if kind in ("attn", "mlp") and layer == drop else None

        expected = batch.forward(onward=constant).gradients(keys)
        for kind, layer in keys:
            inside = kind not in ("embed", "resid")
            torch.testing.assert_close(found[kind, layer], expected[kind, layer], rtol=1e-10, atol=1e-12)
            if inside and layer == drop:
                assert not found[kind, layer].any()
            elif kind != "embed" and drop < layer:
                assert torch.equal(found[kind, layer], plain[kind, layer])
            else:
                apart(found[kind, layer], plain[kind, layer], 1e-3)
        for kind, some in first_order(batch, total, values, expected).items():
            total[kind] = total[kind] + some.abs()
    scored = scores(batch, "graddrop")
    for kind, some in total.items():
        close(scored[kind], some / (3 if kind in ("embed", "resid") else 2), 1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_graddrop_and_atp_agree_where_no_layer_follows(name: str) -> None:
    """T5: nodes of the last layer, and the final stream; AtP* too, but for queries and keys."""
    batch = batch_of(model_of(name))
    first, fixed = scores(batch, "atp"), scores(batch, "qkfix")
    for method, own in (("graddrop", first), ("atpstar", fixed)):
        found = scores(batch, method)
        for kind in set(found) - {"embed"}:
            close(found[kind][:, -1], own[kind][:, -1].abs(), 1e-12)


def test_graddrop_needs_two_layers() -> None:
    with pytest.raises(ClaimError, match="two layers"):
        scores(batch_of(model_of("gpt2", layers=1)), "graddrop")


@pytest.mark.parametrize("name", FORMS)
def test_the_last_layer_of_a_model_without_norms_is_linear(name: str) -> None:
    """T8: AtP is exact there, and for heads it is what they write along the difference of the unembeddings."""
    batch = batch_of(model_of(name, layers=2, norm="none"), each=True)
    kinds = [kind for kind in kinds_of(batch.model) if kind not in ("q", "k", "embed")]
    if batch.model.blocks[0].mlp is not None and not batch.model.blocks[0].parallel:
        kinds = [kind for kind in kinds if kind in ("mlp", "neuron", "resid")]  # the MLP reads the heads
    found, exact = scores(batch, "atp", kinds), scores(batch, "exact", kinds)
    for kind in kinds:
        close(found[kind][:, -1], exact[kind][:, -1], 1e-12)
        apart(found[kind][:, 0], exact[kind][:, 0])
    if "head" in kinds:
        delta = batch.source_values["head", 1] - batch.base_values["head", 1]
        first, second = (ids[:, 0] for ids in batch.arguments.ids)
        along = batch.model.W_U.T[first] - batch.model.W_U.T[second]
        written = torch.einsum("rthe,hed,rd->rth", delta, batch.model.blocks[1].attn.W_O, along)
        rows = torch.arange(3)
        close(found["head"][rows, -1, :, batch.answer], written[rows, batch.answer], 1e-12)


@pytest.mark.parametrize("name", ["gpt2", "llama", "neox"])
def test_integrated_gradients_sum_to_the_joint_patch(name: str) -> None:
    """T9: midpoints, 20 steps."""
    model = model_of(name, layers=2)
    near = model.W_E[:1] + 0.3 * (model.W_E - model.W_E[:1])  # tokens are alike: the path is smooth enough
    batch = batch_of(attrs.evolve(model, W_E=near), pick=[0, 1])
    kinds = [kind for kind in kinds_of(model) if kind not in ("attn", "neuron")]  # on the paths of heads and MLPs
    found, first = scores(batch, "ig", kinds, steps=20), scores(batch, "atp", kinds)
    for kind, some in found.items():
        exact = joint(batch, [(kind, layer) for layer in range(extent(kind, model.shape)[0])]).T
        close(some.sum((2, 3)), exact, 2e-3)
        apart(first[kind].sum((2, 3)), exact)


def linear() -> Form:
    """No norms, no bend in the MLP, and with queries of 0 an even pattern."""
    return Form(norm="none", act="identity", qk=0.0, biased=False)


def test_exchanging_base_and_source_changes_the_sign_in_a_linear_model() -> None:
    """T10."""
    batch = batch_of(made(linear(), layers=2), each=True)
    kinds = tuple(kind for kind in kinds_of(batch.model) if kind not in ("q", "k"))
    for method in ("atp", "exact", "ig", "average", "eap-ig", "relp"):
        there, back = (scores(some, method, kinds, steps=2) for some in (batch, batch.swapped))
        for kind in kinds:
            close(there[kind], -back[kind], 1e-11)
            close(there[kind], scores(batch, "atp", (kind,))[kind], 1e-11)
    bent = batch_of(model_of("gpt2"))
    apart(scores(bent, "atp", ("head",))["head"], -scores(bent.swapped, "atp", ("head",))["head"])
    there, back = scores(bent, "average"), scores(bent.swapped, "average")
    for kind, some in there.items():
        close(some, -back[kind], 1e-12)  # the mean of both ends knows no direction


@pytest.mark.parametrize("name", ["gpt2", "neox", "attention only"])
def test_gradients_do_not_move_the_mean_that_norms_take_away(name: str) -> None:
    """T11: orthogonal to ones, with the rule as without it. Without it, also to the final stream itself."""
    batch = batch_of(model_of(name))
    for rules in ((), ("ln",), ("ln", "identity")):
        run = batch.forward(steps_of(rules))
        for (kind, layer), gradient in run.gradients(keys_of(("resid",), batch.model.shape)).items():
            assert gradient.sum(-1).abs().max() < 1e-13 * gradient.abs().max(), (kind, layer, rules)
            if layer == 3:
                along = (gradient * run.nodes[kind, layer]).sum((1, 2)).abs()
                assert bool((along > 1e-3).all()) == bool(rules)


@pytest.mark.parametrize("method", names())
@pytest.mark.parametrize("name", ["llama", "neox"])
def test_no_difference_no_estimate(name: str, method: str) -> None:
    """T12: a source that is the base."""
    told = text()
    batch = batch_of(model_of(name, layers=2), attrs.evolve(told, source=told.base), each=True, pick=[1])
    for some in scores(batch, method, steps=2).values():
        assert some.abs().max() < (1e-12 if method in ("exact", "qkfix", "atpstar") else 1e-300)
    edges = find(method).edges
    if edges is not None:
        assert not edges(batch, Asked((), find(method).rules)).scores.any()  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", names())
@pytest.mark.parametrize("name", FORMS)
def test_what_follows_the_answer_has_no_effect(name: str, method: str) -> None:
    """T12: positions behind the answer, and padding, are not upstream."""
    batch = batch_of(model_of(name, layers=2), each=True, back=2)
    later = torch.arange(batch.base.shape[1]) > batch.answer[:, None]
    for kind, some in scores(batch, method, steps=2).items():
        behind = some.movedim(-1, 1)[later]
        assert behind.abs().max() <= (1e-12 if method == "exact" else 0.0), kind
        assert some.abs().max() > 1e-4 or (method, kind) in (("cplrp", "q"), ("cplrp", "k"))
