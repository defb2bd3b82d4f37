"""A claim on a tiny model of every form of layer, from a loaded bridge to a result: the slow recursion's numbers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hooked import mixed_rows

import scrub
from model.tiny_models import shared
from reference import scrubbed
from scrub import Interpretation, claim, embed, heads, logits, mlps, recovers
from scrub.anatomy.positions import parse_slots
from scrub.engine.draw import Calls, Draws
from scrub.model.experts import BlackBox
from scrub.model.layers import mlp, norm
from scrub.model.resolve import sound
from scrub.model.trace import trace
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer
from scrub.report.page.sections.diagnostics import _experts
from scrub.score.sample import compile_claim
from scrub.verbs.setup import references
from strategies_models import named

DATA = mixed_rows()
DRAWS, ROWS = 2, 2
FORMS = [
    "gemma 2, norms after, caps",
    "gemma 3, angles by type of layer",
    "olmo 2, norms after alone, joint head norms",
    "cohere 2, layers without rotary",
    "bloom, alibi",
    "olmo, clipped",
    "mixtral, experts",
    "gpt-oss, sinks",
    "deepseek 3, latents",
    "granite, experts multiplied",
    "hunyuan, head norms last",
    "bert, norms of the stream itself",
    "opt 350m, norms of the stream itself",
    "command-r, norms by head",
    "stablelm 2, norms by head",
    "gpt2 without norms",
    "gpt2 with folded norms",
    "solu, a norm of neurons",
]
EXPERTS = ["mixtral, experts", "gpt-oss, sinks", "deepseek 3, latents"]


@cache
def weights_of(name: str) -> Transformer:
    return adapt(shared(name), dtype=torch.float64)


def claim_of(sites: dict[str, Any], through: str) -> scrub.Hypothesis:
    story = Interpretation()
    for name, site in sites.items():
        parents = dict.fromkeys(p for _, names in site.reading or () for p in names)
        story.variable(named(name, list(parents) or ["kind"], lambda values: values[0]))
    return claim(story, model="tiny", data=DATA, metric="loss(label)", expect=recovers(0.5), through=through)(sites)


def scrubbing(hypothesis: scrub.Hypothesis, model: Transformer, rows: int | None = None) -> scrub.Result:
    asked = {"controls": "none", "parts": "none", "explain": False, "dtype": "float64"}
    return scrub.test(hypothesis, model, rows, DRAWS, **asked)


FIRST = {"e": embed("A"), "a": heads("0.1", at="A").reads(q="e", k="e", v="e")}
SITES: dict[str, dict[str, Any]] = {
    "mlps": {
        **FIRST,
        "m": mlps(0, at="A").reads(input="e"),
        "b": heads("1.2", at="END").reads(q="", k="a m", v="a m"),
        "answer": logits("END").reads(input="b"),
    },
    "all": {  # heads carry a position to another
        **FIRST,
        "m": mlps(1, at="END").reads(input="e"),
        "b": heads("1.2", at="END").reads(q="e", k="a", v="a"),
        "answer": logits("END").reads(input="b m"),
    },
}


CASES = [(name, "all") for name in FORMS] + [(name, "mlps") for name in EXPERTS]


@pytest.mark.parametrize(("name", "through"), CASES)
def test_a_claim_on_a_model_of_each_form(name: str, through: str) -> None:
    """Channels with parents of their own, an MLP that is claimed and others that are passed through, ragged rows."""
    model, hypothesis = weights_of(name), claim_of(SITES[through], through)
    result = scrubbing(hypothesis, model, ROWS)
    resolved, _ = sound(hypothesis, model)
    labels, chosen = DATA.column("label"), references(resolved, ROWS, 0)
    losses = [
        -float(scrubbed(resolved, model, 0, row, draw).log_softmax(-1)[labels[row]])
        for row in chosen.tolist()
        for draw in range(DRAWS)
    ]
    assert result.metric.scrubbed == pytest.approx(np.mean(losses), rel=1e-9)
    assert abs(result.metric.scrubbed - result.metric.random) > 1e-4
    assert abs(result.metric.scrubbed - result.metric.model) > 1e-4
    assert (result.routes is not None) == any(isinstance(b.mlp, BlackBox) and b.mlp.mixes for b in model.blocks)


@pytest.mark.parametrize("name", EXPERTS)
def test_changed_routes_are_counted(name: str) -> None:
    """By hand: the stream at END with another embedding, MLP after MLP, and what the router itself says of it."""
    model = weights_of(name)
    hypothesis = claim_of({"e": embed("END"), "answer": logits("END").reads(input="e")}, "mlps")
    found = scrubbing(hypothesis, model).routes
    claim, _ = sound(hypothesis, model)
    tree, _ = compile_claim(claim)
    calls = Calls(np.repeat(np.arange(len(DATA)), DRAWS), np.tile(np.arange(DRAWS), len(DATA)))
    drawn = Draws(claim, 0).tree(tree, calls)
    ends = DATA.locate(parse_slots("END")[0])
    last = [row.tokens[end] for row, end in zip(DATA.rows, ends, strict=True)]
    frames, donors = drawn[tree.path].rest[:, 0], drawn[tree.children[0].path].own
    pairs = {(int(frame), last[donor]) for frame, donor in zip(frames, donors, strict=True)}
    moved = [(frame, token) for frame, token in sorted(pairs) if last[frame] != token]
    changed = 0
    for frame, token in moved:
        kept: dict[tuple[str, int], torch.Tensor] = {}
        row = torch.tensor([DATA.rows[frame].tokens])
        trace(
            model,
            row,
            torch.tensor([row.shape[1]]),
            lambda kind, layer, x, kept=kept: kept.update({(kind, layer): x}),
        )
        change = model.W_E[token] - model.W_E[last[frame]]
        for layer, block in enumerate(model.blocks):
            own = kept["resid_mid", layer][0, ends[frame]]
            both = [norm(block.ln2, x)[None] for x in (own, own + change)]
            if block.mlp.mixes:
                changed += len({frozenset(router(block)(x)[-1].flatten().tolist()) for x in both}) > 1
            made = [mlp(block.mlp, x)[0] for x in both]
            change = change + made[1] - made[0]
    assert (found.read, found.changed) == (len(moved) * sum(block.mlp.mixes for block in model.blocks), changed)
    assert 0 < changed < found.read
    assert _experts(found.to_dict()) == [("experts", str(found))]
    whole = scrubbing(claim_of({"e": embed("END"), "answer": logits("END").reads(input="e")}, "all"), model).routes
    behind = sum(len(DATA.rows[frame].tokens) - int(ends[frame]) for frame, _ in moved)  # where heads carry it
    assert whole.read == behind * sum(block.mlp.mixes for block in model.blocks)


def router(block: Any) -> Any:
    module = block.mlp.module
    return module.router if hasattr(module, "router") else module.gate
