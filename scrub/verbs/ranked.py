"""A claim in which directions that a rank found hold the variable: `scrub propose --rank --write FILE.py`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.part import HostPart
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.code import WIDTH, Changes
from scrub.claims.coded import directions
from scrub.claims.edited import changed
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import ClaimProblems
from scrub.claims.sites import Place, Site
from scrub.errors import ClaimError
from scrub.model.resolve import sound
from scrub.storage import files
from scrub.verbs.searching import beside_claim, imported

if TYPE_CHECKING:
    from scrub.proposals.subspace import RankCurve


@frozen
class RankedClaim:
    """A claim that says of a `variable` that a part of `site` holds it; `changes` are those of the claim, by part."""

    hypothesis: Hypothesis
    variable: str
    site: Site
    file: Path
    changes: Callable[[HostPart], Changes] = field(repr=False)

    @classmethod
    def planned(cls, hypothesis: Hypothesis, variable: str, site: Site, model: Any, file: Path) -> RankedClaim:
        """Raises ClaimError for a file that cannot be written, and where no claim with a part there is sound: why."""
        target, claim = beside_claim(hypothesis, file), sound(hypothesis, model, expecting=False)[0]
        assert isinstance(claim.graph, TransformerGraph)
        shape = claim.graph.shape
        one = directions(np.eye(1, shape.d_head if site.components[0].traits.is_channel else shape.d_model))

        def changes(part: HostPart) -> Changes:
            return Changes(_places(hypothesis, variable, site.part(part)), reads=_reads(hypothesis, variable, site))

        try:
            sound(changed(hypothesis, changes(one)), model, expecting=False)
        except ClaimProblems as error:
            raise ClaimError(
                f"--write {file}: no claim is made of {variable} in a part of {site}; --write "
                f"{file.with_suffix('.safetensors').name} writes its directions alone.\n{error}"
            ) from None
        return cls(hypothesis, variable, site, target, changes)

    @property
    def basis(self) -> Path:
        return self.file.with_suffix(".safetensors")

    def write(self, curve: RankCurve) -> None:
        """The directions, and beside them the file of the claim."""
        curve.basis.save(self.basis)
        files.write_text(self.file, self._text(curve))

    def _text(self, curve: RankCurve) -> str:
        part, name = directions(self.basis), self.hypothesis.name.partition(".")[0]
        changes = evolve(self.changes(part), parts={part: "directions(BASIS)"})
        kept = next(point for point in curve.points if point.rank == curve.rank)
        told = (
            f"{self.hypothesis.title} with {self.variable} in {curve.rank} of {curve.width} directions of "
            f"{self.site}. Swapped alone these recover {kept.recovered:.3g} of what the whole does, on rows that no "
            "test of this claim uses; whether the claim holds is another question."
        )
        imports = "\n".join(["from pathlib import Path\n", *changes.imports(False, ()), imported(self.hypothesis)])
        basis = f'BASIS = Path(__file__).with_name("{self.basis.name}")'
        head = f'"""{textwrap.fill(told, WIDTH)}"""'
        return "\n\n".join([head, imports, basis, changes.code("_claim", f"{name}_ranked", False)]) + "\n"


def _sites(hypothesis: Hypothesis, variable: str) -> tuple[Site, ...]:
    place = hypothesis.correspondence().get(variable)
    return place if isinstance(place, tuple) else (place,) if isinstance(place, Site) else ()


def _places(hypothesis: Hypothesis, variable: str, held: Site) -> dict[str, Place]:
    """The part at the variable's own site, what it leaves of that beside it; a query, key or value as a variable of
    its own, which its head reads instead; or else the part alone."""
    component, own = evolve(held.components[0], part=None), _sites(hypothesis, variable)
    mine = [site for site in own if component in map(_whole, site.components) and held.at[0] in site.at]
    if mine:
        sites = [s for site in own for s in (_beside(site, component, held) if site is mine[0] else (site,))]
        return {variable: _place(tuple(sites))}
    if not component.traits.is_channel:
        return {variable: held}
    new = _called(hypothesis, variable)
    places: dict[str, Place] = {new: held.reads(input=variable)}
    for reader, sites in _readers(hypothesis, variable, component).items():
        split = tuple(s for site in sites for s in _through(site, component, variable, new))
        places[reader] = _place(split)
    return places


def _place(sites: tuple[Site, ...]) -> Place:
    first, *more = sites
    return sites if more else first


def _reads(hypothesis: Hypothesis, variable: str, site: Site) -> dict[str, str]:
    """Which variables read what besides: a query of its own, and those that read it."""
    component = site.components[0]
    own = {_whole(c) for s in _sites(hypothesis, variable) for c in s.components}
    if not component.traits.is_channel or component in own:
        return {}
    new = _called(hypothesis, variable)
    return {new: variable} | {reader: new for reader in _readers(hypothesis, variable, component)}


def _called(hypothesis: Hypothesis, variable: str) -> str:
    taken = {*hypothesis.story.variables, *hypothesis.story.columns}
    return next(name for n in range(len(taken) + 1) if (name := f"{variable}_held{n or ''}") not in taken)


def _readers(hypothesis: Hypothesis, variable: str, channel: Component) -> dict[str, tuple[Site, ...]]:
    """The variables that read it through a channel of a head."""
    found = {name: _sites(hypothesis, name) for name in hypothesis.story.variables}
    return {n: sites for n, sites in found.items() if any(_reads_it(s, variable, channel) for s in sites)}


def _reads_it(site: Site, variable: str, channel: Component) -> bool:
    return channel.host in site.components and variable in dict(site.reading or ()).get(channel.kind, ())


def _through(site: Site, channel: Component, variable: str, new: str) -> Iterator[Site]:
    """The head reads the query instead of the variable; other heads of the site as they did."""
    if not _reads_it(site, variable, channel):
        yield site
        return
    reading = dict(site.reading or ())
    reading[channel.kind] = tuple(new if name == variable else name for name in reading[channel.kind])
    unread = () if any(variable in names for names in reading.values()) else (variable,)
    others = tuple(c for c in site.components if c != channel.host)
    head = evolve(site, components=(channel.host,), reading=tuple(reading.items()))
    yield head.omits(*unread) if unread and not others else head
    if others:
        yield evolve(site, components=others)


def _beside(site: Site, component: Component, held: Site) -> Iterator[Site]:
    """The part, and what else the site has."""
    yield evolve(site, components=held.components, at=held.at)
    if others := tuple(c for c in site.components if _whole(c) != component):
        yield evolve(site, components=others)
    if left := tuple(slot for slot in site.at if slot not in held.at):
        yield evolve(site, components=(component,), at=left)


def _whole(component: Component) -> Component:
    return evolve(component, part=None)
