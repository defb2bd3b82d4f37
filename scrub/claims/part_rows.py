"""Rows on which the directions of a claim were found: the claim stores them with those that a proposal saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import collecting
from scrub.claims.sites import Site


def with_parts_seen(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis with the digests of such rows in `seen=`; itself where its correspondence cannot be written."""
    with collecting():
        try:
            places = [site for value in hypothesis.entries().values() for site in _sites(value)]
        except Exception:  # told of where the correspondence is checked
            return hypothesis
    found = {digest for site in places for c in site.components if c.part for digest in c.part.seen}
    if found <= set(hypothesis.options.seen):
        return hypothesis
    seen = tuple(sorted({*hypothesis.options.seen, *found}))
    return evolve(hypothesis, options=evolve(hypothesis.options, seen=seen))


def seen_by_any(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Rivals on the rows that no search of any of them saw, nor what found their directions."""
    own = [with_parts_seen(hypothesis) for hypothesis in hypotheses]
    seen = tuple(sorted({digest for one in own for digest in one.options.seen}))
    return [evolve(one, options=evolve(one.options, seen=seen)) if one.options.seen != seen else one for one in own]


def _sites(value: Any) -> list[Site]:
    several = value if isinstance(value, list | tuple) else [value]
    return [site for site in several if isinstance(site, Site)]
