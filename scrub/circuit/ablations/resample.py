"""What a component writes on a reference row of the row's group, drawn uniformly and anew for every draw."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from scrub.circuit.ablations import Ablation, DonorPool
from scrub.engine.draw import Calls, words

WORDS = {"rows": "reference", "draws": 5, "place": 2}


def donors(pool: DonorPool, calls: Calls) -> Int[np.ndarray, " call"]:
    return pool.references.pick(calls.reference, words(pool.data, calls, pool.seed, "circuit", "rest"))


ABLATION = Ablation(donors)
