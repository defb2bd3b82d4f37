"""Latents of a transcoder: where its encoder and decoder are an MLP's own matrices, they are the MLP's neurons."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve

from engine.test_parts_and_hosts import DATA, RESTS, answers, claimed
from scrub import Dictionary, embed, latents, logits, mlps, neurons, resid
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.model.latents import transcoder_reads
from scrub.model.weights import Mlp, Transformer
from scrub.score.patched import Patch, PatchedTransformer
from strategies_models import random_transformer

UNITS = "1 4 7"


def relu_model(**traits: bool) -> Transformer:
    """A small model whose MLPs are plain, with relu."""
    found = (random_transformer(Random(seed)) for seed in range(4000))
    model = next(
        m for m in found
        if m.shape.d_mlp and m.shape.causal and m.shape.n_layers == 3 and not m.shape.gated and not m.shape.post_norms
        and m.blocks[1].ln2 is not None and all(getattr(m.shape, name) == value for name, value in traits.items())
    )  # fmt: skip
    blocks = [evolve(b, mlp=evolve(b.mlp, act="relu")) if isinstance(b.mlp, Mlp) else b for b in model.blocks]
    return evolve(model, blocks=tuple(blocks))


MODELS = {"after attention": relu_model(parallel=False), "parallel": relu_model(parallel=True)}


def as_transcoder(model: Transformer) -> Site:
    m = model.blocks[1].mlp
    assert isinstance(m, Mlp)
    bias = None if m.b_in is None else m.b_in.numpy()
    made = Dictionary(m.W_in.numpy(), m.W_out.numpy(), bias=bias, reads="normed")
    return mlps(1, at="END").part(latents(made, UNITS))


def as_neurons() -> Site:
    return neurons(" ".join(f"1.{unit}" for unit in UNITS.split()), at="END")


@pytest.mark.parametrize("rest", RESTS)
@pytest.mark.parametrize("shape", MODELS)
def test_a_transcoder_of_the_mlps_own_matrices_is_its_neurons(shape: str, rest: str) -> None:
    """Read from a leaf, computed from what it reads, and where the rest of the MLP is passed through."""
    model = MODELS[shape]
    options: dict[str, Any] = {"rest": rest, "through": ("mlps",)} | ({"pair": "mate"} if rest == "paired" else {})
    for reading in (False, True):
        made: list[Claim] = []
        for site in (as_neurons(), as_transcoder(model)):
            late = resid(2, at="END").reads(input="e x")
            sites = {"e": embed("END"), "x": site.reads(input="e") if reading else site}
            sites |= {"late": late, "answer": logits("END").reads(input="late")} if reading else {}
            made.append(claimed(model, {"answer": logits("END").reads(input="e x"), **sites}, **options))
        _, rows = answers(made[0], model)  # the same rows, however often a variable occurs
        found = [answers(one, model, rows)[0] for one in made]
        torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", MODELS)
def test_interchange_patches_them_alike(shape: str) -> None:
    model, found = MODELS[shape], list[torch.Tensor]()
    rows, donors = np.arange(4), np.arange(4, 8) % len(DATA)
    for site in (as_neurons(), as_transcoder(model)):
        made = claimed(model, {"x": site, "answer": logits("END").reads(input="x")})
        found.append(PatchedTransformer(made, model).outputs(rows, [Patch((site,), donors)]))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


def test_what_a_transcoder_reads() -> None:
    block = MODELS["after attention"].blocks[1]
    assert block.ln2 is not None
    weight, bias = torch.full((8,), 3.0).double(), torch.full((8,), 0.5).double()
    block = evolve(block, ln2=evolve(block.ln2, kind="rms", weight=weight, bias=bias))
    x = torch.randn(2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stream, plain, normed = (transcoder_reads(block, reads, x) for reads in ("stream", "normalized", "normed"))
    torch.testing.assert_close(stream, x)
    torch.testing.assert_close(plain, x / (x.square().mean(-1, keepdim=True) + block.ln2.eps).sqrt())
    torch.testing.assert_close(normed, 3 * plain + 0.5)
