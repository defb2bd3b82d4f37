"""The parts of a claim, each of which should earn its place: components of sites, edges through channels, values.

A part is known by where it stands in the claim, and printed as results have it: `9.6`, `subject -> name.q`.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from scrub.anatomy.names import Component
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.claims.spare import printed_name

COMPONENT, EDGE, VALUE = "component", "edge", "value"


@frozen
class ClaimPart:
    """A component of a site, an edge (`parent` through one channel of a site), or the value of a variable.

    `variable` is the one that has the site, or the value; of an edge it is the reader.
    """

    variable: str
    site: PlacedSite | None = None
    component: Component | None = None
    channel: str = ""
    parent: str = ""

    @property
    def kind(self) -> str:
        return VALUE if self.site is None else EDGE if self.component is None else COMPONENT

    @property
    def where(self) -> str:
        """The site of a component or of an edge's reader, in words."""
        return "" if self.site is None else str(self.site.site)

    @property
    def words(self) -> str:
        """`9.6 of name`, `the edge subject -> name.q`, `the value of subject`."""
        if self.kind == EDGE:
            return f"the edge {self}"
        return f"the value of {self}" if self.kind == VALUE else f"{self} of {self.variable}"

    def __str__(self) -> str:
        if self.kind == EDGE:
            channel = "" if self.channel == "input" else f".{self.channel}"
            return f"{self.parent} -> {self.variable}{channel}"
        return str(self.component) if self.kind == COMPONENT else self.variable


def parts_of(claim: Claim) -> tuple[ClaimPart, ...]:
    """Every part of a claim but its answer, a reader's before those of what it reads."""
    return tuple(part for name in claim.placement.reached() for part in _parts(claim, name))


def _parts(claim: Claim, name: str) -> Iterator[ClaimPart]:
    for site in claim.placement.placed[name].sites:
        if name != claim.placement.output:
            yield from (ClaimPart(name, site, component) for component in site.site.components)
        for channel, parents in site.reads:
            yield from (ClaimPart(name, site, None, channel, parent) for parent in parents)
    if name != claim.placement.output and _tells_rows_apart(claim, name):
        yield ClaimPart(name)


def _tells_rows_apart(claim: Claim, name: str) -> bool:
    """Whether donors would change if they came from the whole stratum: one value on all rows is nothing to earn."""
    return len(set(claim.classes((name,)).tolist())) > len(set(claim.stratum.tolist()))


def is_spare(claim: Claim, part: ClaimPart) -> bool:
    """Whether a claim says that a component or a value may earn nothing."""
    named = {*claim.options.spare, *map(printed_name, claim.options.spare)}
    return part.variable in named or str(part) in named
