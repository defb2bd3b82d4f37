"""A claim made smaller or larger, and how it came about: what `scrub.shrink` and `scrub.grow` return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen

from scrub.claims.hypothesis import Hypothesis
from scrub.score.statistics import Interval
from scrub.shown import shown

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


@frozen
class RevisionStep:
    """One change, and by how much it changed what is recovered, on the rows that were searched."""

    what: str
    effect: float


@frozen(eq=False)
class Revision:
    """A claim with `steps` of change. `claim` is the new one, tested on rows that the search did not see.

    `before` and `after` are what both recover on `rows` rows that chose nothing, `difference` (after minus before)
    is paired on these; `seen` rows were searched. `text` is the change in Python; `file` where it was written.
    `notes` say what could not be changed.
    """

    hypothesis: str
    verb: str
    claim: Hypothesis
    steps: tuple[RevisionStep, ...]
    before: float | None
    after: float | None
    difference: Interval
    text: str
    worth: float
    seen: int
    rows: int
    draws: int | None
    seed: int
    notes: tuple[str, ...] = ()
    digest: str = ""
    file: Path | None = None
    options: dict[str, Any] = field(factory=dict[str, Any])
    provenance: dict[str, Any] = field(factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        return {
            "hypothesis": self.hypothesis, "verb": self.verb, "digest": self.digest,
            "steps": [asdict(step) for step in self.steps], "before": self.before, "after": self.after,
            "difference": self.difference.to_dict(), "text": self.text, "worth": self.worth, "seen": self.seen,
            "rows": self.rows, "draws": self.draws, "seed": self.seed, "notes": list(self.notes),
            "file": None if self.file is None else str(self.file), "options": self.options,
            "provenance": self.provenance,
        }  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a step."""
        return shown(self, "frame")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")
