"""A claim in which directions that a rank found hold the variable: `scrub propose --rank --write FILE.py`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.part import HostPart
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.code import WIDTH, Changes
from scrub.claims.coded import directions
from scrub.claims.edited import changed
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import ClaimProblems
from scrub.claims.sites import Place, Site
from scrub.engine.written import width_of
from scrub.errors import ClaimError
from scrub.model.resolve import sound
from scrub.storage import files
from scrub.verbs.searching import beside_claim, imported

if TYPE_CHECKING:
    from scrub.proposals.subspace import RankCurve


Held = tuple[Site, HostPart | None]  # one component at one position, and the part of it that holds the variable


@frozen
class RankedClaim:
    """A claim that says of a `variable` that parts of `sites`, one component each, hold it."""

    hypothesis: Hypothesis
    variable: str
    sites: tuple[Site, ...]
    file: Path

    @classmethod
    def planned(
        cls, hypothesis: Hypothesis, variable: str, sites: Sequence[Site], model: Any, file: Path
    ) -> RankedClaim:
        """Raises ClaimError for a file that cannot be written, and where no claim with parts there is sound: why."""
        target, claim = beside_claim(hypothesis, file), sound(hypothesis, model, expecting=False)[0]
        assert isinstance(claim.graph, TransformerGraph)
        ones = [directions(np.eye(1, width_of(site.components[0], claim.graph)), name="U") for site in sites]
        try:
            made = _changes(hypothesis, variable, list(zip(sites, ones, strict=True)))
            sound(changed(hypothesis, made), model, expecting=False)
        except ClaimProblems as error:
            places = ", ".join(map(str, sites))
            why = "".join(f"\n    {found}" for found in dict.fromkeys(p.found for p in error.problems))
            raise ClaimError(
                f"--write {file}: no claim is made of {variable} in a part of {places}; --write "
                f"{file.with_suffix('.safetensors').name} writes its directions alone.{why}"
            ) from None
        return cls(hypothesis, variable, tuple(sites), target)

    def write(self, curve: RankCurve) -> tuple[Path, ...]:
        """The directions, and beside them the file of the claim. The files of the directions, one a component."""
        bases = saved(curve, self.file.with_suffix(".safetensors"))
        files.write_text(self.file, self._text(curve, bases))
        return bases

    def _text(self, curve: RankCurve, bases: Sequence[Path]) -> str:
        name, read = self.hypothesis.name.partition(".")[0], [directions(file) for file in bases]
        left = iter(read)
        held = [(s, next(left) if p.rank else None) for s, p in zip(self.sites, curve.places, strict=True)]
        words = (
            [f'directions(HERE / "{file.name}")' for file in bases] if len(self.sites) > 1 else ["directions(BASIS)"]
        )
        changes = evolve(_changes(self.hypothesis, self.variable, held), parts=dict(zip(read, words, strict=True)))
        imports = "\n".join(["from pathlib import Path\n", *changes.imports(False, ()), imported(self.hypothesis)])
        basis = "HERE = Path(__file__).parent"
        if len(self.sites) == 1:
            basis = f'BASIS = Path(__file__).with_name("{bases[0].name}")'
        head = f'"""{textwrap.fill(self._told(curve), WIDTH)}"""'
        return "\n\n".join([head, imports, basis, changes.code("_claim", f"{name}_ranked", False)]) + "\n"

    def _told(self, curve: RankCurve) -> str:
        places = ", ".join(map(str, self.sites))
        if len(self.sites) > 1:
            places = ", ".join(f"{s} ({p.rank})" for s, p in zip(self.sites, curve.places, strict=True))
        alone = "alone" if len(self.sites) == 1 else "all together"
        return (
            f"{self.hypothesis.title} with {self.variable} in {curve.rank} of {curve.width} directions of {places}. "
            f"Swapped {alone} these recover {curve.kept.recovered:.3g} of what the whole does, on rows that no "
            "test of this claim uses; whether the claim holds is another question."
        )


def saved(curve: RankCurve, file: Path) -> tuple[Path, ...]:
    """The directions that are kept in a file, of several components in one for each that holds some."""
    named = zip(curve.places, basis_files([(p.component, p.at) for p in curve.places], file), strict=True)
    return tuple(place.basis.save(called) for place, called in named if place.basis is not None)


def basis_files(places: Sequence[tuple[Component, object]], file: Path) -> list[Path]:
    """Where the directions of each component at a position are written, beside the file of their claim."""
    if len(places) == 1:
        return [file.with_suffix(".safetensors")]
    names = [re.sub(r"\W", "_", f"{file.stem}_{component}_{at}") for component, at in places]
    return [file.with_name(f"{name}.safetensors") for name in names]


def _changes(hypothesis: Hypothesis, variable: str, held: Sequence[Held]) -> Changes:
    """What the claim says otherwise, one component after the other; one that holds nothing has no place any more."""
    made, places, reads = hypothesis, dict[str, Place | None](), dict[str, str]()
    for site, part in held:
        if part is None:
            one = Changes(_dropped(made, variable, site))
        else:
            found = _places(made, variable, site.part(part), more=bool(places))
            one = Changes(found, reads=_reads(made, variable, site))
        made, places = changed(made, one), {**places, **one.places}
        for name, more in one.reads.items():
            reads[name] = f"{reads[name]} {more}" if name in reads else more
    return Changes(places, reads=reads)


def _dropped(hypothesis: Hypothesis, variable: str, site: Site) -> dict[str, Place]:
    """The variable's sites without a component; where it is no site of the variable's, all stays as it is."""
    component, own = site.components[0], sites_of_variable(hypothesis, variable)
    if not any(component in map(_whole, one.components) and site.at[0] in one.at for one in own):
        return {}
    return {variable: _place(tuple(left for one in own for left in _left(one, component, site)))}


def sites_of_variable(hypothesis: Hypothesis, variable: str) -> tuple[Site, ...]:
    """Where a claim says that a variable stands; none where it names no components for it."""
    place = hypothesis.correspondence().get(variable)
    return place if isinstance(place, tuple) else (place,) if isinstance(place, Site) else ()


def _places(hypothesis: Hypothesis, variable: str, held: Site, more: bool) -> dict[str, Place]:
    """The part at the variable's own site, what it leaves of that beside it; a query, key or value as a variable of
    its own, which its head reads instead; or else the part alone, or with `more` beside those that are placed."""
    component, own = evolve(held.components[0], part=None), sites_of_variable(hypothesis, variable)
    mine = [site for site in own if component in map(_whole, site.components) and held.at[0] in site.at]
    if mine:
        sites = [s for site in own for s in (_beside(site, component, held) if site is mine[0] else (site,))]
        return {variable: _place(tuple(sites))}
    if not component.traits.is_channel:
        return {variable: _place((*own, held)) if more else held}
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
    own = {_whole(c) for s in sites_of_variable(hypothesis, variable) for c in s.components}
    if not component.traits.is_channel or component in own:
        return {}
    new = _called(hypothesis, variable)
    return {new: variable} | {reader: new for reader in _readers(hypothesis, variable, component)}


def _called(hypothesis: Hypothesis, variable: str) -> str:
    taken = {*hypothesis.story.variables, *hypothesis.story.columns}
    return next(name for n in range(len(taken) + 1) if (name := f"{variable}_held{n or ''}") not in taken)


def _readers(hypothesis: Hypothesis, variable: str, channel: Component) -> dict[str, tuple[Site, ...]]:
    """The variables that read it through a channel of a head."""
    found = {name: sites_of_variable(hypothesis, name) for name in hypothesis.story.variables}
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
    yield from _left(site, component, held)


def _left(site: Site, component: Component, held: Site) -> Iterator[Site]:
    """What a site has besides a component at a position; all of it, where that is not of it."""
    if component not in map(_whole, site.components):
        yield site
        return
    if others := tuple(c for c in site.components if _whole(c) != component):
        yield evolve(site, components=others)
    if left := tuple(slot for slot in site.at if slot not in held.at):
        yield evolve(site, components=(component,), at=left)


def _whole(component: Component) -> Component:
    return evolve(component, part=None)
