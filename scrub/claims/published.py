"""What the verbs of publishing return: where a claim was written, and how two claims differ."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from scrub.claims.plain import as_dict
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd


@frozen
class Published:
    """What `scrub.freeze` wrote, and where.

    `without` names a model that is no data, and is not part of it; `computed` says that it is a graph of functions.
    """

    hypothesis: str
    digest: str
    out: Path
    without: str | None
    computed: bool = False

    def __str__(self) -> str:
        words = f"wrote {self.out}, digest {self.digest}."
        command = f"scrub test {shlex.quote(str(self.out))}"
        if self.without is None:
            return f"{words} Test it with: {command}"
        absent = f"Its model, {self.without}, is a thing in Python and no part of it."
        if self.computed:
            return f'{words} {absent} Test it in Python: scrub.test(scrub.thaw("{self.out}"), model=graph)'
        return f"{words} Test it with: {command} --model DIR. {absent}"

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self, "computed")

    def _repr_html_(self) -> str:
        return shown(self, "html")


@frozen
class ClaimDiff:
    """The facts that only one of two claims states, as lines of their canonical texts."""

    a: str
    b: str
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not self.removed and not self.added

    def __str__(self) -> str:
        if self.same:
            return f"{self.a} and {self.b} claim the same."
        lines = sorted([(line, "-") for line in self.removed] + [(line, "+") for line in self.added])
        return "\n".join([f"--- {self.a}", f"+++ {self.b}", *(f"{sign} {line}" for line, sign in lines)])

    def to_dict(self) -> dict[str, Any]:
        return {**as_dict(self), "same": self.same}

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a fact that one claim alone states: `only_in` is that claim."""
        return shown(self, "frame")

    def _repr_html_(self) -> str:
        return shown(self, "html")
