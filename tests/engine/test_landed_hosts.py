"""What is heard of hosts of latents: where all latents of a dictionary that misses nothing land, the donor's host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from attrs import evolve

from engine.test_parts_and_hosts import CALLS, DATA, MODELS, SHAPES, D, claimed
from scrub import Dictionary, attn, heads, latents, logits, mlps, resid
from scrub.claims.sites import Site
from scrub.engine.draw import Draws
from scrub.engine.landed_hosts import HostRows, LandedHosts
from scrub.engine.number import Numbering
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.score.sample import compile_claim

BOTH_SIGNS = np.concatenate([np.eye(D), -np.eye(D)])
ALL_LATENTS = latents(Dictionary(BOTH_SIGNS.T, BOTH_SIGNS), " ".join(map(str, range(2 * D))))
HOSTS: dict[str, Callable[[str], Site]] = {
    "MLP": lambda at: mlps(1, at=at),
    "head": lambda at: heads("1.0", at=at),
    "attention": lambda at: attn(1, at=at),
    "stream": lambda at: resid(2, at=at),
}


@pytest.mark.parametrize("rest", ["resample", "mean"])
@pytest.mark.parametrize("at", ["END", "all"])
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_host_with_all_latents_of_a_donor_is_the_donors(shape: str, host: str, at: str, rest: str) -> None:
    """No padding among them, on ragged rows."""
    model = MODELS[shape]
    sites = {"a": HOSTS[host](at).part(ALL_LATENTS), "answer": logits("END").reads(input="a")}
    claim = claimed(model, sites, rest=rest)
    tree, program = compile_claim(claim)
    rows = TransformerRows.run(claim, model, [program])
    own = HostRows.of(claim, model, pseudo=False)
    heard = LandedHosts(HostRows.of(claim, model, pseudo=True) if rest == "mean" else own)
    rows = evolve(rows, frames=evolve(rows.frames, landed=heard))
    numbered = Numbering(claim, program).number(Draws(claim, 0).tree(tree, CALLS))
    TransformerEvaluator(rows, program).answers(numbered)
    (found,) = heard.found
    scrubbed, real = torch.cat(heard.found[found]), own.everything(found)
    assert len(real) == (DATA.lengths.sum() if at == "all" else len(DATA))
    assert len(scrubbed) > 1
    assert float(torch.cdist(scrubbed, real).min(1).values.max()) < 1e-6
