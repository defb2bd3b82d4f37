"""What `scrub.views` returns: the views that were asked for, the rows that are shown, what is not shown and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from scrub.claims.plain import as_dict
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd

    from scrub.evidence.attention import Attention
    from scrub.evidence.direct import Direct
    from scrub.evidence.lens import Lens
    from scrub.evidence.matching import TokenCircuits
    from scrub.evidence.otherwise import Otherwise
    from scrub.evidence.probes import Probes
    from scrub.evidence.written import WrittenTokens

NAMES = {
    "attention": "where claimed heads look",
    "lens": "what the stream says, layer by layer",
    "written": "what claimed components write",
    "matching": "what claimed heads copy and match",
    "direct": "what adds up to the answer's logit",
    "probes": "where each variable can be read",
    "otherwise": "what the scrubbed model predicts otherwise",
}
CAUTION = "Evidence, not a test: none of it enters a score or a verdict."


@frozen
class ShownRow:
    """A row that is shown: its tokens, and which of them have names."""

    row: int
    tokens: tuple[str, ...]
    names: dict[str, int]


@frozen(eq=False, kw_only=True)
class Views:
    """Views of a claim's components on `rows` rows: evidence, not a test. `left_out`: what is not shown, why."""

    hypothesis: str
    digest: str
    rows: int
    seed: int
    shown: tuple[ShownRow, ...]
    attention: Attention | None = None
    lens: Lens | None = None
    written: WrittenTokens | None = None
    matching: TokenCircuits | None = None
    direct: Direct | None = None
    probes: Probes | None = None
    otherwise: Otherwise | None = None
    left_out: tuple[str, ...] = ()
    options: dict[str, Any]
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Every view by its name, those that are not shown left out."""
        views = {name: as_dict(view) for name in NAMES if (view := getattr(self, name)) is not None}
        rows = [asdict(row) for row in self.shown]
        return {**as_dict(self, "shown", *NAMES), "evidence": CAUTION, "shown": rows, "views": views}

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a number: view, table, row, column, value."""
        return shown(self, "frame")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")
