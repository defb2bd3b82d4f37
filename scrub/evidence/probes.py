"""Where a variable could live at all: a linear probe of it on the stream at every layer and named position.

A probe that is right says that the value can be read there, not that the model reads it (Hewitt and Liang 2019;
Belinkov 2022). Beside each stands the same probe of values that were shuffled among the rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from attrs import frozen
from jaxtyping import Bool, Float, Int

from scrub.anatomy.positions import Slot
from scrub.claims.values import Value, key
from scrub.engine.cache import Store
from scrub.engine.needs import Need
from scrub.evidence.lens import stream
from scrub.evidence.scene import Scene, Unseen
from scrub.score.probe import Scaled, logistic

HELD_OUT = 4  # one row in so many is held out
FEWEST, MOST = 16, 64  # rows that probes take, and values of a variable, at most
PENALTY = 0.01  # as `scrub.fit.probe` has it


@frozen
class Probed:
    """How often a probe is right on rows that were held out, and where its variable's values were shuffled."""

    variable: str
    at: str
    layer: int
    accuracy: float
    shuffled: float


@frozen
class ProbedVariable:
    """The variable's different values, and how often the commonest of the fitted rows is right on the others.

    `also` has the variables that tell rows apart in the same way: a probe of them is the same.
    """

    variable: str
    also: tuple[str, ...]
    values: int
    chance: float


@frozen
class Probes:
    """Logistic regression of every variable on `resid l` at every named position; `held_out` rows of `rows`."""

    rows: int
    held_out: int
    variables: tuple[ProbedVariable, ...]
    probed: tuple[Probed, ...]
    left_out: tuple[str, ...]


def asks(scene: Scene, need: Need) -> None:
    if len(scene.used) < FEWEST:
        few = len(scene.used)
        raise Unseen(f"probes: {few} rows are too few to fit on some and to try on others: give {FEWEST}.")
    for layer in range(scene.shape.n_layers + 1):
        for slot in scene.named:
            need.add(stream(layer), slot)


def look(scene: Scene, store: Store) -> Probes:
    held_out = set_aside(scene.data.identities, scene.seed)
    names = variables(scene)
    classes = {name: _classes(scene, name) for name in names}
    left_out = [words for name, found in classes.items() if (words := _unfit(name, found, held_out))]
    classes = {name: found for name, found in classes.items() if not _unfit(name, found, held_out)}
    if not classes:
        raise Unseen("probes: " + "; ".join(left_out) + ".")
    asked = _Asked(classes, {name: shuffled(found, scene.seed) for name, found in classes.items()}, held_out)
    probed = [
        one for slot in scene.named for layer in range(scene.shape.n_layers + 1)
        for one in asked.at(slot, layer, store.at(stream(layer), slot, scene.rows).double().cpu().numpy())
    ]  # fmt: skip
    told = [
        ProbedVariable(name, tuple(names[name]), int(found.max()) + 1, _chance(found, held_out))
        for name, found in classes.items()
    ]
    return Probes(len(held_out), int(held_out.sum()), tuple(told), tuple(probed), tuple(left_out))


def variables(scene: Scene) -> dict[str, list[str]]:
    """Those that the claim places, each with the others that tell all rows apart in the same way."""
    found: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(scene.claim.placement.reached()):
        found.setdefault(tuple(_classes(scene, name).tolist()), []).append(name)
    return {names[0]: names[1:] for names in found.values()}


def _classes(scene: Scene, name: str) -> Int[np.ndarray, " row"]:
    return of_values([scene.claim.values[name][row] for row in scene.used])


def of_values(values: Sequence[Value]) -> Int[np.ndarray, " row"]:
    """Numbers of values, in the order in which rows have them."""
    place: dict[Hashable, int] = {}
    return np.array([place.setdefault(key(value), len(place)) for value in values])


def set_aside(identities: np.ndarray, seed: int) -> Bool[np.ndarray, " row"]:
    """The rows that are held out, whatever their order: a quarter, drawn by what they are."""
    order = np.random.default_rng([seed, len(identities)]).permutation(len(identities))
    held_out = np.zeros(len(identities), dtype=bool)
    held_out[np.argsort(identities, kind="stable")[order[: len(identities) // HELD_OUT]]] = True
    return held_out


def shuffled(classes: Int[np.ndarray, " row"], seed: int) -> Int[np.ndarray, " row"]:
    return np.random.default_rng([seed, 1]).permutation(classes)


def _unfit(name: str, classes: Int[np.ndarray, " row"], held_out: Bool[np.ndarray, " row"]) -> str:
    """Why a variable is not probed; nothing if it is."""
    count = len(set(classes.tolist()))
    if count < 2:
        return f"{name} has one value on these rows"
    if count > MOST or count > len(classes) // 2:
        return f"{name} has {count} values on {len(classes)} rows, too many to tell apart"
    if len(set(classes[~held_out].tolist())) < 2:
        return f"{name} has one value on the rows that are fitted"
    return ""


def _chance(classes: Int[np.ndarray, " row"], held_out: Bool[np.ndarray, " row"]) -> float:
    return float((classes[held_out] == np.bincount(classes[~held_out]).argmax()).mean())


@frozen(eq=False)
class _Asked:
    """The classes of every variable, as they are and shuffled, and which rows are held out."""

    classes: dict[str, Int[np.ndarray, " row"]]
    others: dict[str, Int[np.ndarray, " row"]]
    held_out: Bool[np.ndarray, " row"]

    def at(self, slot: Slot, layer: int, x: Float[np.ndarray, "row d"]) -> list[Probed]:
        """One place: the rows are brought into their span once, for all variables."""
        scaled = Scaled.of(x[~self.held_out])
        z = scaled.seen(x)
        return [
            Probed(name, str(slot), layer, *(self._right(z, one[name]) for one in (self.classes, self.others)))
            for name in self.classes
        ]

    def _right(self, z: Float[np.ndarray, "row k"], classes: Int[np.ndarray, " row"]) -> float:
        fitted = logistic(z[~self.held_out], classes[~self.held_out], PENALTY)
        return fitted.accuracy(z[self.held_out], classes[self.held_out])
