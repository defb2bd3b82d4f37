"""What a proposal found: nodes and edges by rank, how far the estimates can be trusted, what may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen
from jaxtyping import Float, Int

from scrub.anatomy.edges import Edge, channel_name
from scrub.anatomy.names import Component
from scrub.anatomy.part import REMAINDER
from scrub.claims.plain import as_dict
from scrub.proposals.agreement import Agreement
from scrub.proposals.bound import ASSUMPTION, Bounded
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure


@frozen
class Ranked:
    """A node by rank: `score` is the estimate, aggregated as its method's source says.

    `exact` is the effect of patching it alone, aggregated like `score`; None where it was not patched. `signed` and
    `absolute` are both means over rows, of the effect where it is known, else of the estimate. `companions`
    are the scores of other methods, and `disagree` that one of these ranks the node far from here.
    """

    component: Component
    position: str | int | None
    score: float
    signed: float
    absolute: float
    exact: float | None
    method: str
    companions: Mapping[str, float] = field(factory=dict[str, float])
    disagree: bool = False

    @property
    def node(self) -> str:
        return str(self.component)

    @property
    def kind(self) -> str:
        part = self.component.part
        return self.component.kind if part is None else "error" if part.code == REMAINDER else "latent"

    @property
    def best(self) -> float:
        """What is known best: the exact effect, else the estimate."""
        return self.score if self.exact is None else self.exact


@frozen
class RankedEdge:
    """An edge by rank: its estimate, aggregated over rows as `edge_aggregate` says."""

    edge: Edge
    score: float

    @property
    def sender(self) -> str:
        return str(self.edge.sender)

    @property
    def receiver(self) -> str:
        """The channel that reads, `9.6.q`."""
        return channel_name(self.edge.receiver, self.edge.channel)


@frozen
class SourceShare:
    """What a head writes to the answer from the token at a position (None: all tokens at no named position)."""

    head: Component
    position: str | None
    share: float


@frozen(eq=False)
class Proposal:
    """Candidates for a claim. Scores are estimates of `metric(base with the node from source) - metric(base)`.

    Under `noising` the base is the row and the source its partner, under `denoising` the other way round. `aggregate`
    says how scores of nodes are made of those of rows, `edge_aggregate` how those of edges are. `passes` are in
    passes over all rows. `recall` says how many patches in rank order it took to have the k largest of the patched;
    `left_out` are strong candidates that a claim does not name; `sources` (of `dla`) the base run's direct
    contributions by source token. `seen` are the digests of the rows, `digest` that of the claim (of the data without
    one); `estimates` are those of each row.
    """

    hypothesis: str | None
    method: str
    direction: str
    metric: str
    aggregate: str
    nodes: tuple[Ranked, ...]
    positions: tuple[str | int | None, ...]
    edges: tuple[RankedEdge, ...]
    edge_method: str | None
    agreement: Agreement | None
    by_kind: Mapping[str, Agreement]
    recall: tuple[tuple[int, int], ...]
    overhead: float | None
    stands: bool
    bounded: Bounded
    bounded_kinds: tuple[str, ...]
    rules: Mapping[str, str]
    passes: Mapping[str, float]
    base: float
    source: float
    left_out: tuple[str, ...]
    cautions: tuple[str, ...]
    rows: int
    seen: tuple[str, ...]
    seed: int
    options: Mapping[str, Any]
    provenance: Mapping[str, Any]
    edge_aggregate: str | None = None
    digest: str = ""
    sources: tuple[SourceShare, ...] = ()
    row_numbers: Int[np.ndarray, " row"] = field(factory=lambda: np.zeros(0, dtype=np.int64), repr=False)
    estimates: Float[np.ndarray, "row node"] = field(factory=lambda: np.zeros((0, 0)), repr=False)

    def to_dict(self) -> dict[str, Any]:
        none = {"pearson": None, "spearman": None, "live": 0}
        agreement = none if self.agreement is None else self.agreement.to_dict()
        bounded, kinds = as_dict(self.bounded, "bounds"), list(self.bounded_kinds)
        return {
            **as_dict(self, "nodes", "edges", "by_kind", "bounded_kinds", "row_numbers", "estimates"),
            "nodes": [{"node": n.node, "kind": n.kind, **as_dict(n, "component")} for n in self.nodes],
            "edges": [{"sender": e.sender, "receiver": e.receiver, "score": e.score} for e in self.edges],
            "agreement": agreement | {"by_kind": {kind: a.to_dict() for kind, a in self.by_kind.items()}},
            "recall": [{"k": k, "patches": patches} for k, patches in self.recall],
            "bound": [as_dict(bound) for bound in self.bounded.bounds],
            "bounded": {"kinds": kinds, **bounded, "assumption": ASSUMPTION},
        }  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """A pandas table of the nodes, the best first; companions are columns of their own."""
        return shown(self, "frame")

    def per_row(self) -> pd.DataFrame:
        """The signed estimates: a line for each row of the data, a column for each node."""
        import pandas as pd

        columns = [n.node if n.position is None else f"{n.node} @ {n.position}" for n in self.nodes]
        return pd.DataFrame(self.estimates, index=pd.Index(self.row_numbers, name="row"), columns=columns)

    def plot(self) -> Figure:
        """The strongest nodes, estimated and patched, as a plotly figure. Raises ScrubError without plotly."""
        return shown(self, "plot")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def aggregate_of(absolute: bool) -> str:
    """How scores are made of a node's estimates on rows."""
    return "mean of absolute values" if absolute else "mean"
