"""Parts that together are their host: the same answers on the same rows, whatever the model and the rest."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from scrub import (
    Interpretation,
    attn,
    claim,
    directions,
    embed,
    heads,
    keys,
    logits,
    mlps,
    neurons,
    queries,
    recovers,
    resid,
    values,
)
from scrub.claims.metric import Metric
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.engine.draw import Calls, Drawn, Draws
from scrub.engine.number import Numbering
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.model.weights import Transformer
from scrub.score.sample import compile_claim
from strategies import checked
from strategies_models import named, random_rows, random_transformer

D, E = 8, 4
TURNED = np.linalg.qr(np.random.default_rng(1).normal(size=(D, D)))[0]
SOME, OTHERS = directions(TURNED[:3]), directions(TURNED[3:])
EVERY = directions(np.random.default_rng(2).normal(size=(D, D)))
DATA = random_rows(Random(4), (), tokens=True)
SHAPES: dict[str, Callable[[Transformer], bool]] = {
    "gpt2": lambda m: m.shape.positions == "learned" and not m.shape.post_norms and not m.shape.parallel,
    "llama": lambda m: m.shape.positions == "rotary" and m.shape.gated and m.shape.n_kv_heads < m.shape.n_heads,
    "neox": lambda m: m.shape.positions == "rotary" and m.shape.parallel,
    "gemma": lambda m: m.shape.post_norms and not m.shape.parallel and m.blocks[0].post_mlp.kind == "rms",  # type: ignore[union-attr]
}


def model_like(shape: str) -> Transformer:
    found = (random_transformer(Random(seed)) for seed in range(2000))
    return next(m for m in found if m.shape.d_mlp and m.shape.causal and m.shape.n_layers == 3 and SHAPES[shape](m))


MODELS = {shape: model_like(shape) for shape in SHAPES}


def claimed(model: Transformer, sites: dict[str, Site], **options: Any) -> Claim:
    """Every variable that reads nothing has the value of column c0, the others are tuples of their parents."""
    story = Interpretation()
    for name, site in sites.items():
        parents = dict.fromkeys(p for _, names in site.reading or () for p in names)
        story.variable(named(name, list(parents) or ["c0"], tuple))
    metric = Metric(lambda output, row: 0.0, better="higher", name="zero")
    setting = {"metric": metric, "expect": recovers(0.5), "predicts": "label", "within": "length", **options}
    made = claim(story, model=model.name, data=DATA, **setting)(sites)
    found = checked(made, model, DATA)
    assert found is not None
    return found


CALLS = Calls(np.repeat(np.arange(len(DATA)), 2), np.tile(np.arange(2), len(DATA)))


def answers(
    found: Claim, model: Transformer, rows: dict[str, Drawn] | None = None
) -> tuple[torch.Tensor, dict[str, Drawn]]:
    """The final streams of all calls, on its own rows or on those that another claim drew for variables."""
    tree, program = compile_claim(found)
    drawn = Draws(found, 0).tree(tree, CALLS)
    if rows is not None:
        drawn = {node.path: rows[node.variable] for node in tree.walk()}
    numbered = Numbering(found, program).number(drawn)
    final = TransformerEvaluator(TransformerRows.run(found, model, [program]), program).answers(numbered)
    return final, {node.variable: drawn[node.path] for node in tree.walk()}


RESTS = ["resample", "keep", "paired", "mean", "zero"]
SAME: dict[str, tuple[Callable[[], Site], Callable[[], Site]]] = {
    "neurons": (lambda: mlps(1, at="END"), lambda: neurons(" ".join(f"1.{unit}" for unit in range(10)), at="END")),
    "an MLP in two": (lambda: mlps(1, at="END"), lambda: mlps(1, at="END").part(SOME, OTHERS)),
    "a head in two": (lambda: heads("1.0", at="END"), lambda: heads("1.0", at="END").part(SOME, OTHERS)),
    "a head": (lambda: heads("1.0", at="END"), lambda: heads("1.0", at="END").part(EVERY)),
    "attention in two": (lambda: attn(1, at="END"), lambda: attn(1, at="END").part(SOME, OTHERS)),
    "a stream": (lambda: resid(2, at="END"), lambda: resid(2, at="END").part(EVERY)),
}


@pytest.mark.parametrize("rest", RESTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_all_parts_of_a_host_are_the_host(shape: str, rest: str) -> None:
    """It reads an embedding, and MLPs are passed through on the way to it and from it."""
    model = MODELS[shape]
    options: dict[str, Any] = {"rest": rest, "through": ("mlps",)} | ({"pair": "mate"} if rest == "paired" else {})
    for what, (host, parts) in SAME.items():
        if what == "neurons" and rest == "zero":
            continue  # b_out is part of what remains, and is nothing on a row of zeros
        found: list[torch.Tensor] = []
        rows: dict[str, Drawn] | None = None
        for site in (host(), parts()):
            channel = "v" if site.components[0].traits.attends else "input"
            sites = {"e": embed("END"), "x": site.reads(**{channel: "e"}), "answer": logits("END").reads(input="x")}
            final, rows = answers(claimed(model, sites, **options), model, rows)
            found.append(final)
        assert torch.allclose(*found, rtol=1e-9, atol=1e-9), what


@pytest.mark.parametrize("shape", SHAPES)
def test_queries_keys_and_values_are_the_head(shape: str) -> None:
    """All three from one donor, as long as the frame: the head is what it is on the donor."""
    model, head = MODELS[shape], f"1.{MODELS[shape].shape.n_heads - 1}"
    channels = {"q": queries(head, at="END"), "k": keys(head, at="all"), "v": values(head, at="all")}
    reading = heads(head, at="END").reads(q="q", k="k", v="v")
    whole = claimed(model, {"x": heads(head, at="END"), "answer": logits("END").reads(input="x")})
    expected, rows = answers(whole, model)
    sites = {**channels, "x": reading, "answer": logits("END").reads(input="x")}
    split = claimed(model, sites, together=[("q", "k", "v")])
    got, _ = answers(split, model, {**rows, **dict.fromkeys("qkv", rows["x"])})
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
