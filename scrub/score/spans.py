"""Bases in closed form: class means, principal components, Fourier components of a number. Pure numpy.

Each gives rows `[k, d]` and what it tells of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from scrub.anatomy.tolerances import RANK
from scrub.errors import ClaimError

Rows = Float[np.ndarray, "row d"]
Classes = Int[np.ndarray, " row"]
Found = tuple[Float[np.ndarray, "k d"], dict[str, Any]]


def class_means(x: Rows, classes: Classes, rank: int | None = None) -> Found:
    """The span of what class means differ by, the widest direction first; at most `rank` of them.

    `between` is the share of all variance that lies between classes, `shares` that of it along each direction.
    Raises ClaimError where the means do not differ.
    """
    count = np.bincount(classes)
    means = np.stack([x[classes == c].mean(0) for c in range(len(count))])
    apart = (means - x.mean(0)) * np.sqrt(count)[:, None]
    _, sizes, found = np.linalg.svd(apart, full_matrices=False)
    there = sizes > RANK * max(float(sizes.max(initial=0)), float(np.abs(x).max(initial=0)))
    if not there.any():
        raise ClaimError("what is written does not differ between the values of the variable: there is no direction.")
    kept = found[there][:rank]
    shares = (sizes[there] ** 2 / (sizes[there] ** 2).sum())[: len(kept)]
    return kept, {"between": _ratio((sizes**2).sum(), _spread(x)), "shares": shares.tolist()}


def mean_difference(x: Rows, classes: Classes) -> Found:
    """The difference of two class means, as one direction of length one; `distance` is how far they lie apart.

    Raises ClaimError where there are not two classes.
    """
    if (count := int(classes.max(initial=0)) + 1) != 2:
        raise ClaimError(f"a mean difference is of two values, found {count}: take class_means.")
    more = x[classes == 1].mean(0) - x[classes == 0].mean(0)
    size = float(np.linalg.norm(more))
    if size <= RANK * float(np.abs(x).max(initial=0)):
        raise ClaimError("what is written does not differ between the two values: there is no direction.")
    return more[None] / size, {"distance": size, "between": class_means(x, classes)[1]["between"]}


def pca(x: Rows, rank: int) -> Found:
    """The `rank` widest directions of what is written, whatever the variable; `shares` of the variance.

    Raises ClaimError for more directions than vary.
    """
    _, sizes, found = np.linalg.svd(x - x.mean(0), full_matrices=False)
    varying = int((sizes > RANK * sizes.max(initial=0)).sum())
    if rank > varying:
        raise ClaimError(f"rank {rank}: what is written varies along {varying} directions on these rows.")
    return found[:rank], {"shares": (sizes[:rank] ** 2 / (sizes**2).sum()).tolist()}


def fourier(x: Rows, numbers: Float[np.ndarray, " row"], frequencies: Sequence[int], period: int) -> Found:
    """Along which directions cosine and sine of a number go, by least squares; `shares` of the variance by frequency.

    Two directions for each frequency, one where it is half the period (Nanda et al. 2023, section 4).
    Raises ClaimError for frequencies that are none below the period's half, or that rows cannot tell apart.
    """
    wrong = [f for f in frequencies if type(f) is not int or not 0 < 2 * f <= period]
    if wrong or len(set(frequencies)) < len(frequencies) or not frequencies:
        raise ClaimError(
            f"frequencies {list(frequencies)}: give different whole numbers from 1 to {period // 2}, half the period."
        )
    waves = [(f, wave) for f in frequencies for wave in ((np.cos,) if 2 * f == period else (np.cos, np.sin))]
    design = np.stack([np.ones(len(x)), *(wave(2 * np.pi * f * numbers / period) for f, wave in waves)], axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ClaimError(
            f"{len(np.unique(numbers % period))} different numbers cannot tell {len(waves)} waves apart: give more "
            "rows, or fewer frequencies."
        )
    fitted = np.linalg.lstsq(design, x, rcond=None)[0]
    shares: dict[str, float] = {}
    for f in frequencies:
        own = [i for i, (other, _) in enumerate(waves, 1) if other == f]
        shares[str(f)] = _ratio(_spread(design[:, own] @ fitted[own]), _spread(x))
    return fitted[1:], {"shares": shares}


def _spread(x: Rows) -> float:
    return float(((x - x.mean(0)) ** 2).sum())


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
