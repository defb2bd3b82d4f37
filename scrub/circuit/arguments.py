"""What a user may give the verbs of circuits: mistakes in kind are told before anything is loaded or run."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from scrub.circuit.circuit import Circuit
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.errors import ClaimError, DataError

LEAST = {  # the least number of each, and what is said of one that is smaller
    "rows": (1, "at least one row is needed; without it every row is run"),
    "draws": (1, "at least one draw is needed for each row; 5 is the default of 'resample'"),
    "seed": (0, "seeds are whole numbers from 0 on"),
    "random": (0, "that many random circuits and parts are compared with, 0 for effects alone; 100 is the default"),
    "stop": (0, "a comparison stops after that many random ones that did as well, 0: after none"),
    "budget": (1, "greedy search must be allowed to try at least one part; without it there is no bound"),
    "verify": (0, "that many nodes are patched to verify estimates, 0 for none"),
    "top": (1, "how many of the largest effects must stand; 10 is the default"),
    "subsets": (0, "that many random subsets are patched, 0 for no bound"),
    "steps": (1, "a path takes at least one step; 5 is the default"),
}
OR = {"verify": ", or 'all'"}  # what else may be written
MOST = 10**6  # of anything that is drawn, run or tried; rows and seeds may be more


def counted(option: str = "{}={!r}", **given: Any) -> None:
    """Whole numbers that are large enough, and not too large; None is the default.

    `option` is how the user writes an argument. Raises ClaimError.
    """
    for name, value in given.items():
        least, need = LEAST[name]
        if value is None and name in ("rows", "draws", "budget", "stop"):
            continue
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ClaimError(f"{option.format(name, value)}: write a whole number{OR.get(name, '')}.")
        if int(value) < least:
            raise ClaimError(f"{option.format(name, value)}: {need}.")
        if int(value) > MOST and name not in ("rows", "seed"):
            raise ClaimError(f"{option.format(name, value)}: at most {MOST:,} are possible.")


def setting(hypothesis: Any, model: Any, data: Any, needed: bool = False) -> None:
    """Arguments in each other's places. Raises ClaimError, DataError."""
    if isinstance(model, Circuit):
        raise ClaimError("model= is a Circuit: give it by name, circuit=..., or first in run_circuit(circuit, ...).")
    if isinstance(model, Hypothesis):
        raise ClaimError("model= is a hypothesis: give it by name, hypothesis=...")
    if isinstance(hypothesis, Circuit):
        raise ClaimError(
            "hypothesis= is a Circuit: write criteria(hypothesis, circuit=...), or run_circuit(circuit, hypothesis)."
        )
    if (needed or hypothesis is not None) and not isinstance(hypothesis, Hypothesis):
        raise ClaimError(
            f"{kind_of(hypothesis)} is no hypothesis: import it from its file, `from names import names`."
        )
    if data is not None and not isinstance(data, Dataset):
        raise DataError(
            f"data={kind_of(data)} is no Dataset: make one with Dataset.from_rows(...) or from_text(...)."
        )


def names(given: Any, what: str, such_as: str, *others: type) -> None:
    """A text, or several texts (or `others`). Raises ClaimError naming what is neither."""
    if isinstance(given, Hypothesis):
        raise ClaimError(f"a hypothesis stands where {what} stand: give it by name, hypothesis=...")
    if isinstance(given, (str, *others)):
        return
    if not isinstance(given, Iterable):
        raise ClaimError(f"{kind_of(given)} names no {what}: write them as text, such as {such_as}.")
    for one in given:
        if not isinstance(one, (str, *others)):
            raise ClaimError(f"{kind_of(one)} among the {what} is no text: write names, such as {such_as}.")


def text(given: Any, name: str, what: str) -> None:
    """Raises ClaimError for what is no text."""
    if isinstance(given, Hypothesis):
        raise ClaimError(f"{name}= is a hypothesis: give it by name, hypothesis=...")
    if not isinstance(given, str):
        raise ClaimError(f"{name}={kind_of(given)}: write {what}.")


def positions(at: Any) -> None:
    """Raises ClaimError for what names no position or positions."""
    if at is not None and not isinstance(at, str | int | list | tuple):
        raise ClaimError(f"at={kind_of(at)}: write a position, 'END', 'S1+1' or -1, or a list of these.")


def kind_of(given: Any) -> str:
    """A short value as it is written, of others the kind."""
    plain = given is None or isinstance(given, str | int | float | tuple | list | dict)
    shown = repr(given)
    return shown if plain and len(shown) <= 60 else f"a {type(given).__name__}"
