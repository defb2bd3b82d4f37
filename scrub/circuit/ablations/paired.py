"""What a component writes on the row's partner, its counterfactual."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from scrub.circuit.ablations import Ablation, DonorPool
from scrub.engine.draw import Calls

WORDS = {"rows": "pair", "place": 4}


def donors(pool: DonorPool, calls: Calls) -> Int[np.ndarray, " call"]:
    return pool.pair[calls.reference]


ABLATION = Ablation(donors)
