"""Bits kept: how much of a row a claim holds fast. A claim that keeps everything recovers 1 by saying nothing."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.claims.resolved import Claim


@frozen
class Bits:
    """Bits that the claim keeps of the pool, and log2 of the pool's rows, what keeping everything would."""

    kept: float
    everything: float


def entropy(code: Int[np.ndarray, " row"]) -> float:
    """Shannon entropy, in bits, of class numbers over the pool."""
    share = np.bincount(code) / len(code)
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum()) + 0.0


def bits(claim: Claim) -> Bits:
    """Section "scores": b(leaf) = H(value); b(n) = min(H(n), sum over the parents read); the answer takes their joint."""
    everything = float(np.log2(len(claim.data)))
    if claim.options.rest == "keep":
        return Bits(everything, everything)
    known: dict[str, float] = {}
    output = claim.placement.placed[claim.placement.output]
    parents = _read(claim, output.name)
    total = sum(_bits(claim, parent, known) for parent in parents)
    joint = entropy(_joint(claim, parents)) if parents else 0.0
    return Bits(min(joint, total, everything), everything)


def _bits(claim: Claim, name: str, known: dict[str, float]) -> float:
    if name not in known:
        own = entropy(claim.agreement[name])
        leaf = claim.placement.placed[name].leaf
        known[name] = own if leaf else min(own, sum(_bits(claim, p, known) for p in _read(claim, name)))
    return known[name]


def _read(claim: Claim, name: str) -> tuple[str, ...]:
    """The distinct placed parents that any site of a variable reads."""
    return tuple(dict.fromkeys(p for site in claim.placement.placed[name].sites for p in site.parents()))


def _joint(claim: Claim, names: tuple[str, ...]) -> Int[np.ndarray, " row"]:
    return np.unique(np.stack([claim.agreement[n] for n in names], axis=1), axis=0, return_inverse=True)[
        1
    ].reshape(-1)
