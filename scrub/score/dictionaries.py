"""Dictionaries on scrubbed hosts: whether latents of one row and the rest of another make a host that they know.

A dictionary was trained on hosts of real rows. Of what it was not trained on it may leave anything, and its latents
mean little there: a diagnostic, no score.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import evolve
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.part import HostPart
from scrub.claims.resolved import Claim
from scrub.engine.landed_hosts import HostRows, LandedHosts, is_latents, latent_slots
from scrub.engine.on_transformer import TransformerRows
from scrub.model.codes import reconstructed
from scrub.model.memory import Memory
from scrub.score.reconstruction import Reconstruction
from scrub.score.rerouted import on_some_draws
from scrub.score.result import Result
from scrub.score.sample import ClaimBench, Samples

VECTORS = 512  # of each host that are encoded, at most, here and of the pool's own


def with_dictionaries(bench: ClaimBench, samples: Samples, result: Result) -> Result:
    """A result with how well dictionaries know scrubbed hosts, and a warning where they leave twice as much."""
    if not isinstance(bench.rows, TransformerRows) or not latent_slots(bench.claim):
        return result
    found = reconstructions(bench, samples, result.seed)
    told = [one.warning for one in found if one.is_off]
    return evolve(result, dictionaries=found, warnings=(*result.warnings, *told))


def reconstructions(bench: ClaimBench, samples: Samples, seed: int) -> tuple[Reconstruction, ...]:
    """One of each host of whose dictionary latents are claimed and landed, on some of the draws again.

    A claim that was thawed has its own latents alone, of which nothing is known here.
    """
    assert isinstance(bench.rows, TransformerRows)
    rows, known = bench.rows, _dictionaries(bench.claim)
    if not known:
        return ()
    own = HostRows.of(bench.claim, rows.model, False, rows.store)
    heard = LandedHosts(HostRows.of(bench.claim, rows.model, pseudo=True) if rows.frames.pseudo else own)
    on_some_draws(evolve(bench, rows=evolve(rows, frames=evolve(rows.frames, landed=heard))), samples, seed)
    memory = rows.model.memory
    return tuple(_compared(host, known[host], own.everything(host), heard.found[host], memory) for host in sorted(
        set(heard.found) & set(known)))  # fmt: skip


def _dictionaries(claim: Claim) -> dict[Component, HostPart]:
    """A part of each host by which its whole dictionary is known."""
    parts = {c.whole: c.part for c, _ in sorted(claim.claimed, key=str) if is_latents(c)}
    return {host: part for host, part in parts.items() if part is not None and part.source is not None}


def _compared(
    host: Component, part: HostPart, own: Float[Tensor, "n d"], scrubbed: Sequence[Float[Tensor, "m d"]],
    memory: Memory,
) -> Reconstruction:  # fmt: skip
    """The error is what is left of the variance, about the means of the pool's own, of host and error alike."""
    found = [_some(x).double().cpu() for x in (torch.cat(list(scrubbed)), own)]
    active, made = zip(*(reconstructed(part, x, memory) for x in found), strict=True)
    host_mean, left_mean = found[1].mean(0), (found[1] - made[1]).mean(0)
    errors = [_share(x - y - left_mean, x - host_mean) for x, y in zip(found, made, strict=True)]
    counts = [float(count.mean()) for count in active]
    return Reconstruction(str(host), len(found[0]), counts[0], errors[0], counts[1], errors[1])


def _share(left: Float[Tensor, "n d"], whole: Float[Tensor, "n d"]) -> float:
    """Of squares; nothing of nothing."""
    total = float(whole.square().sum())
    return float(left.square().sum()) / total if total else 0.0


def _some(x: Float[Tensor, "n d"]) -> Float[Tensor, "m d"]:
    """Vectors evenly taken."""
    return x[torch.linspace(0, len(x) - 1, min(len(x), VECTORS), device=x.device).long()]
