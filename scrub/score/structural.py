"""How two claims differ before anything is measured: sites, edges, values, options, answers; one fact a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.claims.values import joint_codes, key
from scrub.score.refine import determines, sites_of


def facts(a: Claim, b: Claim, name_a: str, name_b: str) -> Iterator[str]:
    """Sites and edges that one claim has alone, values at shared sites, options, what the stories answer."""
    yield from _alone("site", _sites(a), _sites(b), name_a, name_b)
    yield from _alone("edge", edges(a), edges(b), name_a, name_b)
    for site in [s for s in _sites(a) if s in _sites(b)]:
        yield from _values(site, _at(a, site), _at(b, site), name_a, name_b)
    yield from _options(a, b, name_a, name_b)
    yield from _answers(a, b, name_a, name_b)


def edges(claim: Claim) -> tuple[str, ...]:
    """Every edge that is swapped, `9.9 @ END [q] <- 7.3 @ END`: the channels of a site, and the parent's site."""
    found: dict[str, None] = {}
    output = claim.placement.placed[claim.placement.output].sites[0]
    for site in [output, *(site for _, site in sites_of(claim))]:
        for channel, parents in site.reads:
            reader = written(site) if channel == "input" else f"{written(site)} [{channel}]"
            for parent in parents:
                for source in claim.placement.placed[parent].sites:
                    found[f"{reader} <- {written(source)}"] = None
    return tuple(found)


def written(site: PlacedSite) -> str:
    return site.site.canonical + (" linked" if site.site.is_linked else "")


def _sites(claim: Claim) -> tuple[str, ...]:
    return tuple(dict.fromkeys(written(site) for _, site in sites_of(claim)))


def _alone(what: str, a: Iterable[str], b: Iterable[str], name_a: str, name_b: str) -> Iterator[str]:
    for name, own, others in ((name_a, a, set(b)), (name_b, b, set(a))):
        for text in own:
            if text not in others:
                yield f"{what} only in {name}: {text}"


def _at(claim: Claim, site: str) -> Int[np.ndarray, " row"]:
    """Classes of the variables at a site, in the order of row digests, not cut by stratum."""
    names = [name for name, placed in sites_of(claim) if written(placed) == site]
    rows = len(claim.data)
    return joint_codes([claim.agreement[name] for name in names], rows)[claim.data.order]


def _values(
    site: str, a: Int[np.ndarray, " row"], b: Int[np.ndarray, " row"], name_a: str, name_b: str
) -> Iterator[str]:
    number = {name_a: len(np.unique(a)), name_b: len(np.unique(b))}
    finer = determines(a, b), determines(b, a)
    if all(finer):
        return
    words = f"{number[name_a]} classes in {name_a}, {number[name_b]} in {name_b}"
    how = f"finer in {name_a}" if finer[0] else f"finer in {name_b}" if finer[1] else "neither finer nor coarser"
    yield f"values at {site}: {how} ({words})"


def _options(a: Claim, b: Claim, name_a: str, name_b: str) -> Iterator[str]:
    ours, theirs = a.options.shown(), b.options.shown()
    for option in dict.fromkeys((*ours, *theirs)):
        if ours.get(option) != theirs.get(option):
            yield f"option {option}: {_words(option, ours)} in {name_a}, {_words(option, theirs)} in {name_b}"


def _words(option: str, shown: dict[str, Any]) -> str:
    if option not in shown:
        return "the default"
    value = shown[option]
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _answers(a: Claim, b: Claim, name_a: str, name_b: str) -> Iterator[str]:
    if str(a.answer) != str(b.answer):
        yield f"answer read at {a.answer} in {name_a}, at {b.answer} in {name_b}"
    first, second = ([key(c.values[c.placement.output][row]) for row in c.data.order] for c in (a, b))
    differ = sum(x != y for x, y in zip(first, second, strict=True))
    if differ:
        yield f"the stories answer differently on {differ} of {len(first)} rows"
