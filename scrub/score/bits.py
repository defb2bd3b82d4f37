"""Bits kept: how much of a row a claim holds fast. One that keeps everything recovers 1 by saying nothing."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.claims.resolved import Claim
from scrub.claims.values import joint_codes


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
    """b(leaf) = H(value); b(n) = min(H(n), sum of b over the parents read); the answer takes their joint H.

    An occurrence whose rest is kept holds all of a row, and so does the claim.
    """
    everything = float(np.log2(len(claim.data)))
    if claim.options.rest == "keep":
        return Bits(everything, everything)
    known: dict[str, float] = {}
    output = claim.placement.placed[claim.placement.output]
    parents = _read(claim, output.name)
    total = sum((_bits(claim, parent, known) for parent in parents), 0.0)
    joint = joint_codes([claim.agreement[name] for name in parents], len(claim.data))
    return Bits(min(entropy(joint), total, everything), everything)


def _bits(claim: Claim, name: str, known: dict[str, float]) -> float:
    if name not in known:
        own = entropy(claim.agreement[name])
        leaf = claim.placement.placed[name].leaf
        known[name] = own if leaf else min(own, sum((_bits(claim, p, known) for p in _read(claim, name)), 0.0))
    return known[name]


def _read(claim: Claim, name: str) -> tuple[str, ...]:
    """The distinct placed parents that any site of a variable reads."""
    return tuple(dict.fromkeys(p for site in claim.placement.placed[name].sites for p in site.parents()))
