"""What of a component is meant, where it is not the whole of it: a code, known by a digest of its arrays. No torch.

A code reads k numbers of what its host computes, and turns k numbers linearly into a vector: `scrub.model.codes`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from attrs import evolve, field, frozen

from scrub.anatomy.tolerances import ORTHOGONAL, RANK

if TYPE_CHECKING:
    from jaxtyping import Float  # it takes long to import

DIRECTIONS, LATENTS, REMAINDER = "directions", "latents", "remainder"
Held = Mapping[str, np.ndarray]


def _nothing() -> Held:
    return {}


_LATENT_AXES = {"encoder": 1, "decoder": 0, "bias": 0, "threshold": 0, "gate": 0, "gain": 0}


@runtime_checkable
class LatentSource(Protocol):
    """A whole dictionary: how many latents it has, parts of it, and the numbers of some of its latents.

    `holding` is the same with the numbers of some latents in memory.
    """

    @property
    def count(self) -> int: ...
    def part(self, indices: tuple[int, ...]) -> HostPart: ...
    def cut(self, take: list[int]) -> Held: ...
    def holding(self, take: list[int]) -> LatentSource: ...


@frozen(eq=False)
class FitRecipe:
    """How directions were found: by which method of `scrub.fit`, of which variable, in what, on which rows (digests).

    `component` and `at` are as they are printed, `asked` are the method's own arguments; `model` is the name of the
    one in which they were found, empty where nothing says it.
    """

    method: str
    variable: str
    component: str
    at: str
    seen: tuple[str, ...]
    asked: Mapping[str, object]
    seed: int
    model: str = ""


@frozen
class HostPart:
    """A part of a host, by the word of its code: `directions` with a `basis`, or `latents` of a dictionary.

    Of a dictionary it has the arrays of its own latents, and in `settings` what tells the dictionary from others;
    `source` has all latents where the dictionary is at hand, and `lies` says where that was found. A `remainder` is
    all of its host but the latents that it names: a dictionary's error, and its other latents.

    Parts are equal whose code, arrays (by the digest of their bytes), indices and settings are; the `name` that is
    printed, the `arrays` themselves, which may be read late, and the digests of the rows that were `seen` when they
    were found, by `recipe`, take no part in that.
    """

    code: str
    digest: str
    indices: tuple[int, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    name: str = field(default="", eq=False)
    arrays: Held = field(factory=_nothing, eq=False, repr=False)
    seen: tuple[str, ...] = field(default=(), eq=False, repr=False)
    source: LatentSource | None = field(default=None, eq=False, repr=False)
    lies: str = field(default="", eq=False, repr=False)
    recipe: FitRecipe | None = field(default=None, eq=False, repr=False)

    @property
    def size(self) -> int:
        """How many numbers it is, k."""
        if self.code == REMAINDER:
            return self.width
        return len(self.indices) or len(self.arrays["basis"])

    @property
    def width(self) -> int:
        """The length of the vectors that it is written as."""
        return int((self.arrays["basis"] if "basis" in self.arrays else self.arrays["decoder"]).shape[-1])

    @property
    def canonical(self) -> str:
        """A text that tells parts apart; no name."""
        settings = (f"{name}={value}" for name, value in self.settings)
        return " ".join([self.code, self.digest, *map(str, self.indices), *settings])

    def alone(self) -> Iterator[HostPart]:
        """Each of its latents as a part of its own; what is of all latents is shared."""
        whole = _of_all(self)
        for place, index in enumerate(self.indices):
            held = {
                name: array if name in whole else np.take(array, [place], _LATENT_AXES[name])
                for name, array in self.arrays.items()
            }
            yield evolve(self, digest=array_digest(held), indices=(index,), arrays=held)

    @property
    def model(self) -> str:
        """The name of the model that it is of, as its dictionary's card or what found it says; else empty."""
        return self.setting("model") or (self.recipe.model if self.recipe else "")

    def setting(self, name: str) -> str:
        """What a setting is, an empty text where it is not set."""
        return dict(self.settings).get(name, "")

    def __str__(self) -> str:
        named = " ".join(map(str, self.indices)) or self.name or self.digest[:8]
        return self.name or f"all but {named}" if self.code == REMAINDER else named


def array_digest(arrays: Held) -> str:
    """A digest of the bytes of arrays by their names."""
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}|".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _of_all(part: HostPart) -> set[str]:
    """The arrays that are not of its own latents alone: where latents are compared, encoder and bias of all."""
    compared = ("encoder", "bias") if part.setting("topk") else ()
    return {name for name in part.arrays if name in compared or name not in _LATENT_AXES}


def what_is_left_by(parts: Sequence[HostPart]) -> HostPart:
    """The remainder of a host beside all latents of some disjoint parts of one dictionary."""
    first, where = parts[0], [(i, number) for number, part in enumerate(parts) for i in part.indices]
    order = [place for _, place in sorted((pair, place) for place, pair in enumerate(where))]
    whole = _of_all(first)
    held = {
        name: array if name in whole else np.take(
            np.concatenate([part.arrays[name] for part in parts], _LATENT_AXES[name]), order, _LATENT_AXES[name]
        )
        for name, array in first.arrays.items()
    }  # fmt: skip
    indices = tuple(sorted(i for i, _ in where))
    return evolve(first, code=REMAINDER, digest=array_digest(held), indices=indices, arrays=held)


def rank(basis: Float[np.ndarray, "k d"]) -> int:
    """How many independent directions the rows span."""
    values = np.linalg.svd(basis.astype(np.float64), compute_uv=False)
    return int((values > RANK * values.max(initial=0)).sum())


def orthonormal(basis: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "k d"]:
    """Orthonormal rows with the same span."""
    return np.linalg.qr(basis.astype(np.float64).T)[0].T


def _left(a: HostPart, b: HostPart) -> bool:
    """Whether one of two parts of one dictionary is what the other leaves."""
    rest, named = (a, b) if a.code == REMAINDER else (b, a)
    return rest.code == REMAINDER and set(named.indices) <= set(rest.indices)


def disjoint(a: HostPart, b: HostPart) -> bool:
    """Whether two parts of one host have nothing in common: other latents, or orthogonal subspaces."""
    if a.code != b.code:
        return a.settings == b.settings and _left(a, b)
    if a.indices or b.indices:
        return a.code != REMAINDER and a.settings == b.settings and not set(a.indices) & set(b.indices)
    first, second = (orthonormal(part.arrays["basis"]) for part in (a, b))
    return first.shape[1] == second.shape[1] and float(np.abs(first @ second.T).max(initial=0)) < ORTHOGONAL
