"""What a claim calls spare: components and values that may earn nothing, named in `spare="9.0 subject"`.

A component is meant wherever the claim has it; a variable's name means its value and all of its components.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve

from scrub.anatomy import table
from scrub.anatomy.names import Component
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import Problem
from scrub.claims.sites import Inside, Place
from scrub.errors import nearest


def printed_name(word: str) -> str:
    """A component in whatever notation as results print it (`L9H0` is `9.0`); a variable as it is."""
    found = table.read(word.replace("_", " ")) or table.read(word)
    return word if found is None else str(Component(*found))


def unknown_spare(hypothesis: Hypothesis, sites: Mapping[str, Place]) -> Iterator[Problem]:
    """A problem for every name that is neither a component nor a placed variable of the claim.

    Rivals and variants inherit what the claim calls spare: a name that the claim itself has is no mistake.
    """
    names = set(_names(sites))
    lacking = [word for word in hypothesis.options.spare if not names & {word, printed_name(word)}]
    if lacking and (hypothesis.variant or hypothesis.changes):
        names |= set(_names(_as_declared(hypothesis)))
        lacking = [word for word in lacking if not names & {word, printed_name(word)}]
    for word in lacking:
        found = f"spare={word!r}: the claim has no such component, and no variable of that name that has a site."
        fix = "Name components or variables that may earn nothing, spare='9.0 subject'."
        yield Problem(found, fix, nearest(printed_name(word), names))


def _as_declared(hypothesis: Hypothesis) -> Mapping[str, Place]:
    """The sites of a claim without its changes; none where they cannot be read."""
    try:
        return evolve(hypothesis, variant=(), changes=()).correspondence()
    except Exception:  # told of where the claim itself is checked
        return {}


def _names(sites: Mapping[str, Place]) -> Iterator[str]:
    """The names of all variables with a site, and of the components there."""
    for name, where in sites.items():
        if not isinstance(where, Inside):
            yield name
            for site in where if isinstance(where, tuple) else (where,):
                yield from map(str, site.components)
