"""A claim in which every name has become a thing: what the engine works on. Made by `check` alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component, in_order
from scrub.anatomy.positions import Slot
from scrub.claims.dataset import Dataset
from scrub.claims.geometry import claims_of
from scrub.claims.holds import HeldSite, Where
from scrub.claims.hypothesis import Expectation, Hypothesis, Options
from scrub.claims.metric import AnyMetric, Metric
from scrub.claims.placement import Placement
from scrub.claims.seen import Seen
from scrub.claims.sites import Site
from scrub.claims.spare import printed_name
from scrub.claims.values import Value, codes, digest, fixed, joint_codes, key, printed

if TYPE_CHECKING:  # a check need not wait for its import
    from jaxtyping import Bool, Int


def _expected(expect: Expectation | None) -> object:
    """What the digest says of an expectation: the share alone where no more is asked."""
    if expect is None:
        return None
    asked = ("any swaps",) if expect.any_swaps else ()
    if expect.interchange is not None:
        asked += ("interchange", expect.interchange)
    return (expect.share, *asked) if asked else expect.share


def _measured(metric: AnyMetric) -> object:
    """What the digest says of a metric: its words, and for one of one's own which way is better, if it is down."""
    lower = isinstance(metric, Metric) and metric.better == "lower"
    return (str(metric), metric.better) if lower else str(metric)


@frozen(slots=False, eq=False)
class Claim:
    """A checked hypothesis. Arrays are indexed by row of the pool.

    `values` holds every variable and placed column; `stratum` is the class of `within`; `scored` marks the
    reference rows; `rest_from` the rows that r may be; `pair` the partner of each row (-1: none).
    `accuracy` is the share of scored rows on which the story is right, None when nothing says what right is.
    Rows that a search saw are in none of these; `seen` counts them. `held` has the sites that say what they hold.
    """

    hypothesis: Hypothesis
    graph: ModelGraph
    data: Dataset
    placement: Placement
    passed: frozenset[Component]
    metric: AnyMetric
    values: dict[str, tuple[Value, ...]]
    stratum: Int[np.ndarray, " row"]
    scored: Bool[np.ndarray, " row"]
    rest_from: Bool[np.ndarray, " row"]
    pair: Int[np.ndarray, " row"]
    accuracy: float | None = None
    warnings: tuple[str, ...] = field(default=())
    seen: Seen = field(factory=Seen)
    held: Mapping[Where, HeldSite] = field(factory=dict[Where, HeldSite])
    # kept by the variables on which rows agree, for this claim's values and strata
    _classes: dict[tuple[str, ...], Int[np.ndarray, " row"]] = field(factory=dict, init=False, repr=False)

    @property
    def options(self) -> Options:
        return self.hypothesis.options

    @cached_property
    def agreement(self) -> dict[str, Int[np.ndarray, " row"]]:
        """Class numbers of every variable's value, not yet cut by stratum."""
        return {name: fixed(codes(map(key, values))) for name, values in self.values.items()}

    def classes(self, names: tuple[str, ...]) -> Int[np.ndarray, " row"]:
        """Classes of rows that agree on the named variables and on the stratum. Not to be written to."""
        if names not in self._classes:
            coded = [self.stratum, *(self.agreement[name] for name in names)]
            self._classes[names] = fixed(joint_codes(coded, len(self.data)))
        return self._classes[names]

    def partner(self, rows: Int[np.ndarray, " call"]) -> Int[np.ndarray, " call"]:
        """The row that is paired with each; the row itself where it has none (`empty="self"`)."""
        return np.where(self.pair[rows] < 0, rows, self.pair[rows])

    @property
    def separable(self) -> bool:
        """Whether unclaimed inputs share a row that they need not share: rows of a transformer are not mixed."""
        shared = self.options.rest == "resample" and self.options.rest_scope != "input"
        return shared and not self.graph.sequence

    @property
    def answer(self) -> Site:
        """Where the output is read."""
        return self.placement.placed[self.placement.output].sites[0].site

    @cached_property
    def claimed(self) -> frozenset[tuple[Component, Slot | None]]:
        return claims_of(self.placement, self.graph)

    @cached_property
    def claimed_at(self) -> Mapping[Component, frozenset[Slot | None]]:
        """The same by component."""
        found: dict[Component, set[Slot | None]] = {}
        for component, slot in self.claimed:
            found.setdefault(component, set()).add(slot)
        return {component: frozenset(slots) for component, slots in found.items()}

    @cached_property
    def claimed_parts(self) -> Mapping[Component, tuple[Component, ...]]:
        """Parts that sites hold somewhere, by host, in order."""
        found: dict[Component, list[Component]] = {}
        for component in in_order(component for component in self.claimed_at if component.is_part):
            found.setdefault(component.host, []).append(component)
        return {host: tuple(parts) for host, parts in found.items()}

    @cached_property
    def digest(self) -> str:
        """Identifies what is claimed: sites, edges, values, setting, expectation; no name of a variable."""
        hypothesis = self.hypothesis
        return digest(
            self.graph.name,
            self.data.digest,
            _measured(self.metric),
            _expected(hypothesis.expect),
            self._setting(),
            self._meanings[self.placement.output],
            list(map(printed, self._ordered(self.placement.output))),
        )

    def _setting(self) -> dict[str, object]:
        """Options that deviate, variables in `together` and `spare` told by meaning, not by name."""
        options = self.options.deviations()
        if "together" in options:
            groups = [sorted(self._meanings[n] for n in group) for group in self.options.together]
            options["together"] = sorted(groups)
        if "spare" in options:
            options["spare"] = sorted(self._meanings.get(name) or printed_name(name) for name in self.options.spare)
        return options

    def _ordered(self, name: str) -> list[Value]:
        return [self.values[name][row] for row in self.data.order]

    @cached_property
    def _meanings(self) -> dict[str, str]:
        """What every placed variable and column means, parents first: each is told once, however often it is read."""
        story, known = self.hypothesis.story, dict[str, str]()
        for name in (*story.columns, *(variable.name for variable in story.order())):
            if name in self.placement.placed:
                known[name] = self._meaning(name, known)
        return known

    def _meaning(self, name: str, known: Mapping[str, str]) -> str:
        """A digest of a variable: its sites, what each channel reads, and which rows agree on it."""
        placed = self.placement.placed[name]
        sites = sorted(
            (
                site.site.canonical,
                site.site.is_linked,
                sorted((channel, sorted(known[parent] for parent in parents)) for channel, parents in site.reads),
                sorted(known[parent] for parent in site.site.omitted),
                *((self.held[name, i].digest,) if (name, i) in self.held else ()),
            )
            for i, site in enumerate(placed.sites)
        )
        partition = codes(key(value) for value in self._ordered(name))
        return digest(sites, placed.leaf, partition.tolist())
