"""One file an ablation. A file here is an ablation: its name is the file's, and nothing else lists it.

An ablation says what a component writes where it is not part of a circuit: what it writes on another row, or a
function of what it writes on its own row and, if asked for, in the mean. `WORDS` of its file are read without running
it (`scrub.claims.wording`). No file imports torch: the functions are given arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Bool, Int

from scrub.claims.dataset import Dataset
from scrub.claims.wording import ABLATIONS, OWN, REFERENCE, AblationWords
from scrub.engine.draw import Calls, Classes
from scrub.errors import PlugInError

__path__ = ABLATIONS.path


@frozen(slots=False, eq=False)
class DonorPool:
    """The rows that a row may take values from: its partner (`pair`, -1: none), the reference rows of its group.

    Arrays are indexed by row of the data; `seed` is that of every draw.
    """

    data: Dataset
    group: Int[np.ndarray, " row"]
    reference: Bool[np.ndarray, " row"]
    pair: Int[np.ndarray, " row"]
    seed: int

    @cached_property
    def references(self) -> Classes:
        """The reference rows of each group, in the order in which draws rank them."""
        return Classes.of(self.data, self.group, self.reference)


@frozen(eq=False)
class Ablation:
    """What components outside a circuit write.

    Either `donors(pool, calls)`, the row that the values of each call come from; positions of the same name are
    aligned. Or `value(own, mean)`, what takes the place of what a component writes on the row itself, an array or a
    number for all of its entries; `own` is `[row, position, ...]` for a transformer's component and what the function
    gives on one row for a graph's node; `mean`, of the same shape, is that over the reference rows of the group, and
    None unless `averaged`.
    """

    donors: Callable[[DonorPool, Calls], Int[np.ndarray, " call"]] | None = None
    value: Callable[[Any, Any], Any] | None = None
    averaged: bool = False

    def instead(self, own: Any, mean: Any = None) -> Any:
        """The ablated value of one component, from its own and its mean."""
        assert self.value is not None
        return self.value(own, mean)


def find(name: str) -> Ablation:
    """The ablation of a name. Raises PlugInError for a file that fails, or has no Ablation that can be used."""
    found = ABLATIONS.load(__name__, name, Ablation)
    if wrong := _wrong(found, said(name)):
        raise PlugInError(f"ablation {name!r}: {wrong}. {ABLATIONS.form}")
    return found


def _wrong(ablation: Ablation, words: AblationWords) -> str:
    if (ablation.donors is None) == (ablation.value is None):
        return "it has both donors and a value, or neither"
    if ablation.averaged and words.rows != REFERENCE:
        return f"it takes means over reference rows, and its WORDS say rows={words.rows!r}"
    return ""


def said(name: str) -> AblationWords:
    """What the file of an ablation says of it."""
    found: AblationWords = ABLATIONS.said(name)
    return found


def of_rows() -> tuple[str, ...]:
    """The ablations whose values are those of one row, and so need no mean."""
    return tuple(name for name in ABLATIONS.names() if said(name).rows != OWN and find(name).donors is not None)


def drawing() -> tuple[str, ...]:
    """The ablations that draw rows."""
    return tuple(name for name in ABLATIONS.names() if said(name).draws)
