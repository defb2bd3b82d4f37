"""Concepts of a vector symbolic architecture, pulled back through a linear encoder of what is written.

A value that is a tuple is a *bundle*: the sum, over its places, of the place's vector *bound* to that of what stands
there (an elementwise product of random signs: T. Plate 1995; R. Gayler 2003). A linear encoder is fitted from what is
written to the bundles; a concept, what stands at one place, is the direction along which the encoder finds its bound
vector. A value that is no tuple is a bundle of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Bool, Float, Int

from scrub.anatomy.tolerances import RANK
from scrub.errors import ClaimError

DIMENSION = 2048  # of a vector of the codebook: two of so many random signs are all but orthogonal
Rows = Float[np.ndarray, "row d"]


@frozen
class Concepts:
    """How bundles are made and found: `penalty` is that on the encoder, over the variance of what is written."""

    penalty: float = 0.01
    rank: int | None = None
    seed: int = 0


@frozen(eq=False)
class Codebook:
    """The bound vectors of every place, and which of them is bundled where, [row, place]."""

    bound: tuple[Float[np.ndarray, "filler dimension"], ...]
    fillers: Int[np.ndarray, "row place"]

    @classmethod
    def of(cls, values: Sequence[Any], seed: int) -> Codebook:
        """Raises ClaimError for values with different numbers of places."""
        tuples = [value if isinstance(value, tuple) else (value,) for value in values]
        if len(lengths := sorted({len(one) for one in tuples})) > 1:
            raise ClaimError(f"concepts: a value is a tuple of as many things on every row, found {lengths}.")
        names = sorted({item for one in tuples for item in one}, key=repr)
        rng = np.random.default_rng([seed, 0xC0DE])
        roles, items = (rng.choice([-1.0, 1.0], (n, DIMENSION)) for n in (lengths[0], len(names)))
        number = {item: i for i, item in enumerate(names)}
        found = np.array([[number[item] for item in one] for one in tuples]).reshape(len(tuples), -1)
        there = [np.unique(column, return_inverse=True) for column in found.T]
        return cls(
            tuple(roles[place] * items[used] for place, (used, _) in enumerate(there)),
            np.stack([where for _, where in there], axis=1),
        )

    @property
    def bundles(self) -> Float[np.ndarray, "row dimension"]:
        return np.sum([bound[at] for bound, at in zip(self.bound, self.fillers.T, strict=True)], axis=0)

    def found(self, decoded: Float[np.ndarray, "row dimension"]) -> Int[np.ndarray, "row place"]:
        """At each place the filler whose bound vector a bundle is nearest to."""
        return np.stack([(decoded @ bound.T).argmax(1) for bound in self.bound], axis=1)


def concepts(
    x: Rows, values: Sequence[Any], held_out: Bool[np.ndarray, " row"], asked: Concepts
) -> tuple[Float[np.ndarray, "k d"], dict[str, Any]]:
    """The span of what concepts of one place differ by, pulled back; the widest direction first.

    The encoder, ridge regression, sees the rows that are not `held_out`; `places` is the share of those that are on
    which the right filler is found, place by place, `accuracy` that on which all are, beside `chance`, that of the
    commonest value. Raises ClaimError where no value differs, or none are held out.
    """
    book, seen = Codebook.of(values, asked.seed), ~held_out
    if not held_out.any() or all(len(bound) < 2 for bound in book.bound):
        raise ClaimError("concepts tell values apart: these rows have one value, or are too few to hold some out.")
    centre, bundles = x[seen].mean(0), book.bundles
    mean, z = bundles[seen].mean(0), x - centre
    ridge = asked.penalty * z[seen].var(0).mean() * seen.sum() * np.eye(x.shape[1])
    encoder = np.linalg.solve(z[seen].T @ z[seen] + ridge, z[seen].T @ (bundles[seen] - mean))
    right = book.found(z[held_out] @ encoder + mean) == book.fillers[held_out]
    apart = np.concatenate([(bound - bound.mean(0)) @ encoder.T for bound in book.bound])
    _, sizes, found = np.linalg.svd(apart, full_matrices=False)
    kinds, count = np.unique(book.fillers[seen], axis=0, return_counts=True)
    return found[sizes > RANK * sizes.max()][: asked.rank], {
        "accuracy": float(right.all(1).mean()),
        "places": right.mean(0).tolist(),
        "chance": float((book.fillers[held_out] == kinds[count.argmax()]).all(1).mean()),
        "held_out": int(held_out.sum()),
    }
