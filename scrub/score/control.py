"""What stands beside a claim: a control that explains nothing, and the adversary's worst swaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from scrub.claims.plain import as_dict

if TYPE_CHECKING:  # words about results need not wait for its imports
    from scrub.score.statistics import Interval


KEEP, REPLACE, CONSTANT = "keep everything", "replace everything", "constant"
SHUFFLED, APART, RANDOM, UNTRAINED = "shuffled values", "apart", "random sites", "untrained model"
TIED, RANDOM_PARTS, WHOLE = "tied", "random parts", "whole hosts"  # "tied" is followed by its site
PERMUTED_FIT, UNTRAINED_FIT = "fitted on permuted values", "fitted on untrained models"


@frozen
class Control:
    """`value` is on the scale of `recovered`, `bits` is what the control keeps; None where it is undefined.

    `note` says why a control could not be run, or what it was run on; `explained` is 1 - AUE/ATE, where it was run on
    other models.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    bits: float | None = None
    note: str = ""
    explained: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self, *([] if self.note else ["note"]), *(["explained"] if self.explained is None else []))

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined{f' ({self.note})' if self.note else ''}"
        ends = "" if self.low is None or self.low == self.high else f" [{self.low:z.2f}, {self.high:z.2f}]"
        return f"{self.value:z.2f}{ends}"


@frozen
class Adversary:
    """The swaps that are made, all others use the calling row itself; what is recovered then, on rows not searched.

    `left_out` are the swaps that are not made; `rows` counts those that the interval is over.
    """

    subset: tuple[str, ...]
    left_out: tuple[str, ...]
    share: Interval
    rows: int

    def to_dict(self) -> dict[str, Any]:
        return {**as_dict(self, "share"), **as_dict(self.share, "level")}
