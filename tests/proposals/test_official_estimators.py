"""Methods and rules against the estimators of papers and official codes, on models of Hugging Face's classes."""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs
import pytest
import torch
from exact_nodes import apart, batch_of, model_of, scores, text
from official import ATTNLRP, CPLRP, PLAIN, RELP, Pass, Style, pairs
from torch import Tensor

from model.tiny_models import bridged
from scrub.model.experts import BlackBox
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer
from scrub.proposals.attribute import ruled
from scrub.proposals.edges import Edges
from scrub.proposals.forward import Passes, PatchBatch
from scrub.proposals.methods import Asked, find

MODELS = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}
KINDS = ("embed", "q", "k", "v", "head", "attn", "mlp", "resid")
STEPS = 3


@cache
def batch(name: str) -> PatchBatch:
    """Two ragged rows; grouped keys and gated MLPs in Llama and Qwen3, heads' own norms in Qwen3."""
    return batch_of(adapt(bridged(MODELS[name]), dtype=torch.float64), text((4, 3), vocabulary=31))


def runs_of(pair: Any, path: str) -> list[tuple[float, Pass]]:
    match path:
        case "inputs left":
            return pair.along_inputs(range(STEPS), STEPS)
        case "inputs right":
            return pair.along_inputs(range(1, STEPS + 1), STEPS)
        case "inputs midpoint":
            return pair.along_inputs([k + 0.5 for k in range(STEPS)], STEPS)
        case "activations":
            return pair.along_activations(STEPS)
        case _:
            return [(1.0, pair.run())]


def nodes_equal(found: dict[str, Tensor], name: str, style: Style, path: str = "base") -> None:
    expected = [pair.nodes(runs_of(pair, path)) for pair in pairs(batch(name), style)]
    for kind, some in found.items():
        theirs = torch.zeros_like(some)
        for row, told in enumerate(expected):
            for (other, layer, unit), score in told.items():
                if other == kind:
                    theirs[row, layer, unit, 0] = score
        size = float(theirs.abs().max())
        assert size > 1e-6 or (style.qk is Tensor.detach and kind in "qk")
        assert float((some - theirs).abs().max()) <= 1e-9 * size, kind


def edges_equal(found: Edges, name: str, style: Style, path: str = "base") -> None:
    for row, pair in enumerate(pairs(batch(name), style)):
        expected = pair.edges(runs_of(pair, path))
        size = max(float(some.abs()) for some in expected.values())
        told = 0
        for s, sender in enumerate(found.senders):
            for r, (reader, channel) in enumerate(found.readers):
                edge = tuple((c.kind, c.layer or 0, c.unit or 0) for c in (sender, reader))
                theirs = expected.get((edge[0], (edge[1], channel)))
                told += theirs is not None
                assert abs(float(found.scores[row, s, r]) - float(theirs or 0)) <= 1e-9 * size, (sender, reader)
        assert told == len(expected)


def edges(name: str, method: str, rules: tuple[str, ...] | None = None, **told: Any) -> Edges:
    run = find(method).edges
    assert run is not None
    return run(batch(name), Asked((), find(method).rules if rules is None else rules, **told))


RULED = {
    "relp": ("relp", RELP),
    "attnlrp": ("attnlrp", ATTNLRP),
    "cplrp": ("cplrp", CPLRP),
    "plain": ("atp", PLAIN),
}


@pytest.mark.parametrize("case", RULED)
@pytest.mark.parametrize("name", MODELS)
def test_rules_are_those_of_relp_and_lxt(name: str, case: str) -> None:
    """Gates that CP-LRP holds constant, and heads' own norms, whose scale LXT holds constant and RelP does not."""
    method, style = RULED[case]
    nodes_equal(scores(batch(name), method, KINDS), name, style)
    edges_equal(edges(name, method), name, style)


def test_the_models_tell_these_rules_apart() -> None:
    for name, method, without in (
        ("llama", "cplrp", ("ln", "identity", "half", "attention")),
        ("qwen3", "attnlrp", ("ln", "identity", "half", "split")),
    ):
        own, other = (scores(batch(name), method, ("embed",), **told) for told in ({}, {"rules": without}))
        apart(other["embed"], own["embed"], 0.02)


def test_what_rules_leave_as_it_is_is_told() -> None:
    """The stream's norms are not all norms, and functions that nothing is known of have no rule inside."""

    def told(model: str | Transformer, rules: tuple[str, ...]) -> dict[str, str]:
        given = batch(model) if isinstance(model, str) else batch_of(model)
        fresh = attrs.evolve(given, passes=Passes())
        ruled(fresh, ("head",), rules)
        return fresh.passes.rules

    assert told("llama", ("ln",)) == {"ln": "live"}
    assert told("llama", ("ln", "qknorm")) == {"ln": "live", "qknorm": "nothing to act on"}
    assert told("qwen3", ("ln",)) == {"ln": "live (heads' own norms keep their derivative: rule qknorm)"}
    assert told("qwen3", ("ln", "qknorm")) == {"ln": "live", "qknorm": "live"}
    assert told("qwen3", ("ln", "attention")) == {"ln": "live", "attention": "live"}
    opaque = model_of("gpt2")
    blocks = tuple(attrs.evolve(block, mlp=BlackBox(torch.tanh)) for block in opaque.blocks)
    assert told(attrs.evolve(opaque, blocks=blocks), ("identity",)) == {
        "identity": "nothing to act on (not inside MLPs that are known as functions alone)"
    }


PATHS = [
    ("inputs right", {}),  # as in the official code of nodes
    ("inputs left", {"points": "left"}),
    ("inputs midpoint", {"points": "midpoint"}),
    ("activations", {"over": "activations"}),
]


@pytest.mark.parametrize(("path", "told"), PATHS, ids=[path for path, _ in PATHS])
@pytest.mark.parametrize("name", MODELS)
def test_nodes_of_eap_ig(name: str, path: str, told: dict[str, str]) -> None:
    found = scores(batch(name), "eap-ig", (*KINDS, "neuron"), steps=STEPS, **told)
    torch.testing.assert_close(found.pop("neuron").sum(2), found["mlp"][:, :, 0], rtol=1e-9, atol=1e-11)
    nodes_equal(found, name, PLAIN, path)


EDGES = [
    ("inputs left", {}),  # as in the official code of edges
    ("inputs right", {"points": "right"}),
    ("inputs midpoint", {"points": "midpoint"}),
    ("activations", {"over": "activations"}),
]


@pytest.mark.parametrize(("path", "told"), EDGES, ids=[path for path, _ in EDGES])
@pytest.mark.parametrize("name", MODELS)
def test_edges_of_eap_ig(name: str, path: str, told: dict[str, str]) -> None:
    edges_equal(edges(name, "eap-ig", (), steps=STEPS, **told), name, PLAIN, path)
