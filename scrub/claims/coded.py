"""Codes as users write them: `directions(U)`, and `latents(dictionary, "1250 77")` of one on disk or of arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen

from scrub.anatomy.part import DIRECTIONS, HostPart, array_digest, rank
from scrub.claims.basis import Basis, read_about
from scrub.claims.dictionaries.card import NORMALIZED, NORMED, STREAM, DictionaryCard, StoredDictionary
from scrub.claims.dictionaries.layouts import read
from scrub.claims.dictionaries.stored import StoredArray
from scrub.claims.problems import collect, problem_at
from scrub.errors import ClaimError, path_of, some

UNREAD = HostPart("", "")  # a part that could not be read, of which the `collecting` around was told
_FLOATS = ("float32", "float64")  # others are read as the last of these
_NAME = re.compile(r"[^\W\d]\w*")
_GIVEN = ("encoder", "decoder", "bias", "centre", "threshold")
READS = (STREAM, NORMED, NORMALIZED)


def directions(array: object, *, name: str = "") -> HostPart:
    """A subspace: `heads("9.9", at="END").part(directions(U))`.

    `array` is `[k, d]`, rows that span it (one row may be given as `[d]`), or the path of a `.safetensors` file that
    holds one such array; d is d_model, for a query, key or value d_head. The rows are made orthonormal. `name` is how
    it is printed, `9.9[U]`; without one it is the file's, or a digest. What `scrub.fit` found, or a file of
    it, brings the rows that were seen: the claim is tested on the others. Raises ClaimError for numbers that are not
    finite, for rows that depend on one another, and for what is no array.
    """
    try:
        return _directions(array, name)
    except ClaimError as error:
        collect(problem_at(str(error), __file__))
        return UNREAD


def _directions(array: object, name: str) -> HostPart:
    seen, recipe = tuple[str, ...](), None
    if isinstance(array, Basis):
        array, seen, recipe = array.array, array.seen, array.recipe
    if isinstance(array, str | Path):
        file = Path(array)
        name, array, (seen, recipe) = name or file.stem, _read(file), read_about(file)
    basis = _numbers(array, "directions(U)")
    basis = basis[None] if basis.ndim == 1 else basis
    if basis.ndim != 2 or not basis.size:
        raise ClaimError(f"directions(U): U has the shape {list(basis.shape)}, and k directions are [k, d].")
    if (found := rank(basis)) < len(basis):
        raise ClaimError(
            f"directions(U): the {len(basis)} rows of U span {found} dimensions only: give independent rows."
        )
    held = {"basis": basis}
    return HostPart(DIRECTIONS, array_digest(held), name=_named(name), arrays=held, seen=seen, recipe=recipe)


def _read(file: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ClaimError(f"directions({str(file)!r}): the file cannot be read: {error}.") from None
    if len(found) != 1:
        raise ClaimError(f"directions({str(file)!r}): the file holds {some(found)}, and one array is asked for.")
    return next(iter(found.values()))


def _numbers(array: object, what: str) -> np.ndarray[Any, Any]:
    """An array of finite floats, given as numpy, as lists or as a tensor."""
    given: Any = array.detach().cpu() if hasattr(array, "detach") else array  # type: ignore[attr-defined]
    try:
        found = np.asarray(given)
        if np.iscomplexobj(found):
            raise TypeError("its imaginary parts would be lost")
        found = found if str(found.dtype) in _FLOATS else found.astype(np.float64)
    except (TypeError, ValueError):
        raise ClaimError(f"{what}: {array!r:.60} is no array of numbers.") from None
    if not np.isfinite(found).all():
        raise ClaimError(f"{what}: {int((~np.isfinite(found)).sum())} of its numbers are not finite.")
    return found


def _named(name: str) -> str:
    if name and not _NAME.fullmatch(name):
        raise ClaimError(f"directions(U, name={name!r}): a name is letters, digits and underscores, such as 'U'.")
    return name


@frozen(eq=False)
class Dictionary:
    """A sparse dictionary as arrays: `x ~ relu((x - centre) encoder + bias) decoder`, d numbers in m latents.

    `encoder` [d, m], `decoder` [m, d], and where given `bias` [m], `centre` [d], `threshold` [m], up to which a
    latent is zero (JumpReLU); with `topk` all but so many of the largest are zero. A transcoder of an MLP says what
    it `reads`: "stream", which the MLP reads, "normed", as its neurons read it, or "normalized", that without the
    norm's own weights. Raises ClaimError for arrays that do not fit one another.
    """

    encoder: Any
    decoder: Any
    bias: Any = None
    centre: Any = None
    threshold: Any = None
    topk: int | None = None
    reads: str = ""
    stored: StoredDictionary = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        given = {name: getattr(self, name) for name in _GIVEN if getattr(self, name) is not None}
        held = {name: _numbers(array, f"Dictionary({name}=)") for name, array in given.items()}
        if self.reads not in ("", *READS):
            raise ClaimError(f"Dictionary(reads={self.reads!r}): what an MLP reads is one of {', '.join(READS)}.")
        if self.topk is not None and (type(self.topk) is not int or self.topk < 1):
            raise ClaimError(f"Dictionary(topk={self.topk!r}): write how many latents are active at once, from 1 on.")
        settings = {} if self.topk is None else {"topk": str(self.topk)}
        arrays = {name: StoredArray(array) for name, array in held.items()}
        card = DictionaryCard("Dictionary", reads=self.reads)
        stored = StoredDictionary(card, arrays, settings, self.topk is not None, as_known=array_digest(held))
        object.__setattr__(self, "stored", stored)


def latents(dictionary: object, names: str) -> HostPart:
    """Latents of a dictionary: `resid(8, at="END").part(latents("DIR", "1250 77"))`, printed `resid 8[77 1250]`.

    They are what the dictionary's encoder reads of what the host writes, written as rows of its decoder; what the
    dictionary misses, its error, is the remainder. Those of a transcoder are read of what the MLP reads. `dictionary`
    is a `Dictionary`, or the path of one as SAELens, Gemma Scope, dictionary_learning or circuit-tracer have it, of
    which the numbers of these latents alone are read. Raises ClaimError for what is none of these, for a setting that
    is not understood, and for latents that it does not have.
    """
    try:
        return _latents(dictionary, names)
    except ClaimError as error:
        collect(problem_at(str(error), __file__))
        return UNREAD


def _latents(dictionary: object, names: str) -> HostPart:
    if isinstance(dictionary, str | Path):
        found = read(path_of(dictionary, "latents"))
    elif isinstance(dictionary, Dictionary):
        found = dictionary.stored
    else:
        raise ClaimError(f"latents({dictionary!r:.60}, ...): give the path of a dictionary, or a scrub.Dictionary.")
    return found.part(_numbered(names, found.count))


def _numbered(names: object, count: int) -> tuple[int, ...]:
    words = str(names).replace(",", " ").split()
    if not words or not all(word.isdecimal() for word in words):
        raise ClaimError(f"latents(..., {names!r}): write numbers of latents, such as '1250 77'.")
    indices = sorted({int(word) for word in words})
    if len(indices) < len(words):
        raise ClaimError(f"latents(..., {names!r}): a latent is named twice.")
    if indices[-1] >= count:
        found = f"latent {indices[-1]} does not exist: they are 0 to {count - 1}"
        raise ClaimError(f"latents(..., {names!r}): {found}; the nearest is {count - 1}.")
    return tuple(indices)
