"""A linear probe: logistic regression of a variable on what is written, and how often it is right on other rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from scrub.anatomy.tolerances import RANK
from scrub.errors import ClaimError

Rows = Float[np.ndarray, "row d"]
Classes = Int[np.ndarray, " row"]


@frozen(eq=False)
class Probe:
    """Logits `x weights + bias` of each class."""

    weights: Float[np.ndarray, "d c"]
    bias: Float[np.ndarray, " c"]

    def logits(self, x: Rows) -> Float[np.ndarray, "row c"]:
        return x @ self.weights + self.bias

    def accuracy(self, x: Rows, classes: Classes) -> float:
        return float((self.logits(x).argmax(1) == classes).mean())


@frozen(eq=False)
class Scaled:
    """Inputs centred and over their mean deviation, in as few coordinates as the rows span.

    The best weights lie in the span of the rows, and the penalty knows no axes: nothing is lost.
    """

    centre: Float[np.ndarray, " d"]
    scale: float
    span: Float[np.ndarray, "k d"] | None = None

    @classmethod
    def of(cls, x: Rows) -> Scaled:
        centre, scale = x.mean(0), float(x.std(0).mean()) or 1.0
        if len(x) > x.shape[1]:
            return cls(centre, scale)
        return cls(centre, scale, np.linalg.svd((x - centre) / scale, full_matrices=False)[2])

    def seen(self, x: Rows) -> Float[np.ndarray, "row k"]:
        z = (x - self.centre) / self.scale
        return z if self.span is None else z @ self.span.T

    def back(self, weights: Float[np.ndarray, "k c"]) -> Float[np.ndarray, "d c"]:
        return (weights if self.span is None else self.span.T @ weights) / self.scale


def logistic(z: Float[np.ndarray, "row k"], classes: Classes, penalty: float) -> Probe:
    """The minimum of mean cross-entropy + penalty / 2 * |weights|^2; the bias is free."""
    count = int(classes.max()) + 1
    wanted = np.eye(count)[classes]

    def loss(flat: Float[np.ndarray, " n"]) -> tuple[float, Float[np.ndarray, " n"]]:
        weights, bias = flat[count:].reshape(-1, count), flat[:count]
        logits = z @ weights + bias
        off = (softmax(logits, axis=1) - wanted) / len(z)
        value = -(wanted * log_softmax(logits, axis=1)).sum() / len(z) + penalty / 2 * (weights**2).sum()
        return float(value), np.concatenate([off.sum(0), (z.T @ off + penalty * weights).ravel()])

    found = minimize(loss, np.zeros(count * (1 + z.shape[1])), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return Probe(found.x[count:].reshape(-1, count), found.x[:count])


def fit_probe(x: Rows, classes: Classes, penalty: float) -> Probe:
    """The `logistic` of x centred and over its mean deviation, as weights of x itself."""
    scaled = Scaled.of(x)
    found = logistic(scaled.seen(x), classes, penalty)
    weights = scaled.back(found.weights)
    return Probe(weights, found.bias - scaled.centre @ weights)


def probe(
    x: Rows, classes: Classes, held_out: Bool[np.ndarray, " row"], penalty: float = 0.01, rank: int | None = None
) -> tuple[Float[np.ndarray, "k d"], dict[str, Any]]:
    """The span of what the weights of classes differ by, the widest direction first; at most `rank` of them.

    The fit sees the rows that are not `held_out`; `accuracy` is on those that are (a value that is in these alone is
    never found), beside `chance`, that of always
    saying the commonest value, and `accuracy_of_rank`, that of a probe which reads these directions alone.
    Raises ClaimError where all rows have one value, or none are held out.
    """
    seen, rest = ~held_out, held_out
    if len(np.unique(classes)) < 2 or not rest.any():
        raise ClaimError("a probe tells values apart: these rows have one value, or are too few to hold some out.")
    fitted = fit_probe(x[seen], classes[seen], penalty)
    apart = (fitted.weights - fitted.weights.mean(1, keepdims=True)).T
    _, sizes, found = np.linalg.svd(apart, full_matrices=False)
    kept = found[sizes > RANK * sizes.max()][:rank]
    again = fit_probe(x[seen] @ kept.T, classes[seen], penalty)
    commonest = np.bincount(classes[seen]).argmax()
    return kept, {
        "accuracy": fitted.accuracy(x[rest], classes[rest]),
        "accuracy_of_rank": again.accuracy(x[rest] @ kept.T, classes[rest]),
        "chance": float((classes[rest] == commonest).mean()),
        "held_out": int(rest.sum()),
    }
