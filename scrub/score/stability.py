"""The same claim asked in other ways, as results have it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scrub.score.statistics import UNDEFINED, Interval

CLAIMED = "as claimed"


@frozen
class StabilityLine:
    """One way to ask: `kind` is seed, half or policy, or empty for the claim as it is.

    `verdict` is what the interval says at the bar, without controls, story and parts; None where the claim could not
    be asked so, for which `note` gives the reason.
    """

    kind: str
    name: str
    recovered: Interval = UNDEFINED
    bar: float | None = None
    verdict: str | None = None
    rows: int = 0
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "recovered": self.recovered.to_dict(), "bar": self.bar,
            "verdict": self.verdict, "rows": self.rows, "note": self.note,
        }  # fmt: skip
