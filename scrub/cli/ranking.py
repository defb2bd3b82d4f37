"""`scrub propose --rank`: how many dimensions of its components hold a variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from scrub.anatomy.names import parse_component
from scrub.anatomy.positions import parse_slots, print_slots, split_place
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.sites import Site
from scrub.cli.endings import FINE
from scrub.cli.options import Command, Results, about, beside, command_line, say
from scrub.errors import ClaimError, did_you_mean
from scrub.report.saved import save_picture
from scrub.storage import files, stored

if TYPE_CHECKING:
    from scrub.proposals.subspace import RankCurve
    from scrub.verbs.ranked import RankedClaim

TAKES = ("rank", "component", "at", "joint", "worth", "rows", "seed", "model", "stream", "device", "memory")
GOES = ("targets", "write", "picture", "out", "json_file")


def by_rank(command: Command) -> Command:
    """`--rank`, and what it alone takes."""
    words = "Of --rank: a component that is no site of the variable's, '9.6.q @ END' or 9.6.q with --at (repeatable)."
    command = click.option("--component", multiple=True, metavar="NAME", help=words)(command)
    words = "Of --rank: all components at once, their directions in one order, instead of one by one."
    command = click.option("--joint", is_flag=True, help=words)(command)
    words = "Of --rank: what share of the change may be lost."
    command = click.option("--worth", default=0.01, show_default=True, help=words)(command)
    words = "Find how many dimensions of its components hold a variable of the claim."
    return click.option("--rank", metavar="VARIABLE", help=words)(command)


def alone(asked: Mapping[str, Any]) -> None:
    """Raises ClaimError for an option of --rank without it, and for others beside it."""
    context = click.get_current_context()
    plain = click.core.ParameterSource.DEFAULT
    given = [name for name in context.params if context.get_parameter_source(name) != plain]
    own = "component", "joint", "worth"
    if asked["rank"] is None:
        if some := [name for name in given if name in own]:
            raise ClaimError(f"--{some[0]} is of --rank VARIABLE, which is not given.")
    elif some := [name for name in given if name not in (*TAKES, *GOES)]:
        known = ", ".join(f"--{name}" for name in TAKES[1:])
        raise ClaimError(f"--rank takes {known}, and no --{some[0].replace('_', '-')}.")


def ranks_of(hypothesis: Hypothesis, asked: Mapping[str, Any], out: Path | None) -> tuple[Results, int]:
    """A curve for each component of the variable's site, or one of all, printed; one can be written and drawn."""
    from scrub.verbs.fit import rank
    from scrub.verbs.ranked import basis_files, saved

    write, picture = asked["write"], asked["picture"]
    if write is not None and write.suffix not in (".safetensors", ".py"):
        names = " or ".join(write.with_suffix(end).name for end in (".py", ".safetensors"))
        raise ClaimError(f"--write {write}: a claim is written with its directions, or these alone: {names}.")
    run = beside(out, [hypothesis], stored.PROPOSALS)
    setting = {name: asked[name] for name in TAKES[4:]}
    sites = list(dict.fromkeys(_sites(hypothesis, asked)))
    curves = [sites] if asked["joint"] else [[site] for site in sites]
    if len(curves) > 1 and (write or picture):
        named = ", ".join(f"--component {site.components[0]} --at {site.at[0]}" for site in sites)
        raise ClaimError(
            f"{asked['rank']!r} has {len(sites)} components, and one is written and drawn: {named}, or all at once "
            "with --joint."
        )
    if write is not None:
        for file in dict.fromkeys([write, *basis_files([(s.components[0], s.at[0]) for s in sites], write)]):
            files.free(file, "--write " if file == write else f"--write {write}: ")
    with about(hypothesis):
        claim = _planned(hypothesis, asked, sites) if write is not None and write.suffix == ".py" else None
        found = [rank(hypothesis, asked["rank"], site=some, **setting) for some in curves]
    say("\n\n".join(map(str, found)))
    if claim is not None:
        beside_it = ", ".join(file.name for file in claim.write(found[0]))
        say(f"written: {claim.file}, a claim with {beside_it} beside it")
    elif write is not None:
        for file in saved(found[0], write):
            say(f"written: {file}; use it as directions({str(file)!r})")
    if picture is not None:
        _draw(found[0], picture)
    results = [one.to_dict() for one in found]
    if run is not None:
        stored.save(run.folder, stored.PROPOSALS, results, command_line())
    return results, FINE


def _planned(hypothesis: Hypothesis, asked: Mapping[str, Any], sites: Sequence[Site]) -> RankedClaim:
    """Raises ClaimError, before anything is computed, where no claim can be written."""
    from scrub.verbs.ranked import RankedClaim

    return RankedClaim.planned(hypothesis, asked["rank"], sites, asked["model"], asked["write"])


def _sites(hypothesis: Hypothesis, asked: Mapping[str, Any]) -> Iterator[Site]:
    """One component at one position each: what is named, or what the variable's sites have, parts as their hosts."""
    names, at = asked["component"], asked["at"]
    slots = None if at is None else parse_slots(at)
    if names:
        for name, place in map(split_place, names):
            where = parse_slots(place) if place else slots
            if where is None:
                raise ClaimError(f"--component {name}: say where, --at END or --component '{name} @ END'.")
            yield from (Site((parse_component(name, parts=True),), (slot,)) for slot in where)
        return
    from scrub.verbs.ranked import sites_of_variable

    sites = sites_of_variable(hypothesis, asked["rank"])
    if not sites:
        near = did_you_mean(
            asked["rank"], [n for n in hypothesis.correspondence() if sites_of_variable(hypothesis, n)]
        )
        raise ClaimError(
            f"--rank {asked['rank']!r}: it has no site.{near} Name a variable that has one, or --component."
        )
    if slots is not None and not any(slot in site.at for site in sites for slot in slots):
        has = print_slots(tuple(dict.fromkeys(slot for site in sites for slot in site.at)))
        raise ClaimError(
            f"--at {at}: {asked['rank']!r} is at {has}, and not at {at}; --component names another place."
        )
    for site in sites:
        for component in dict.fromkeys(evolve(one, part=None) for one in site.components):
            yield from (Site((component,), (slot,)) for slot in site.at if slots is None or slot in slots)


def _draw(curve: RankCurve, file: Path) -> None:
    from scrub.report.curve import curve_svg

    save_picture(curve_svg(curve.to_dict()), file)
    say(f"picture: {file}")
