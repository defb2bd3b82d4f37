"""What stands beside a claim: a control that explains nothing, and the adversary's worst swaps."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scrub.score.statistics import Interval


@frozen
class Control:
    """`value` is on the scale of `recovered`, `bits` is what the control keeps; None where it is undefined.

    `note` says why a control could not be run, or what it was run on.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    bits: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        found = {"name": self.name, "value": self.value, "low": self.low, "high": self.high, "bits": self.bits}
        return found | {"note": self.note} if self.note else found

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
        s = self.share
        return {
            "subset": list(self.subset), "left_out": list(self.left_out), "value": s.value, "low": s.low,
            "high": s.high, "rows": self.rows,
        }  # fmt: skip
