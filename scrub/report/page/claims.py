"""A tested claim: its verdict and shares, then what `sections/` has to say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scrub.claims.titles import short_name
from scrub.report.page.blocks import Block, Picture, Section, Words
from scrub.report.page.sections import StoredClaim, parts_of
from scrub.report.page.words import MARKS, capital, span
from scrub.report.shares import shares_svg

Result = Mapping[str, Any]


def claim_section(stored: StoredClaim) -> Section:
    """The section of a tested claim; its own sections are the parts."""
    result = stored.result
    word, name = result["verdict"], short_name(result["hypothesis"])
    foil = "" if not result["foil"] else "foil, " + ("as it should be" if result["passed"] else "should be refuted")
    brief = ", ".join(filter(None, [f"recovered {span(result['recovered'])}, bar {result['bar']:.2f}", foil]))
    before: list[Block] = [Words(capital(result["reason"]))]
    if result["foil"]:
        before.insert(0, Words(f"A foil, which passes only when it is refuted: {result['foil']}.".replace("..", ".")))
    before.append(Picture(shares_svg(result), _shares_caption(result)))
    return Section(name, brief, tuple(before), parts_of(stored), word, result["passed"])


def _shares_caption(result: Result) -> str:
    level = f"{100 * result['recovered']['level']:.0f} %"
    return (
        f"Recovered share of {result['metric']['name']}, with {level} intervals over rows. "
        "The dashed line is the bar: the expectation, or the best constant answer where that is higher."
    )


def summary(results: Sequence[Result]) -> str:
    passed = sum(bool(result["passed"]) for result in results)
    claims = "1 claim passes" if (passed, len(results)) == (1, 1) else f"{passed} of {len(results)} claims pass"
    return f"{MARKS[passed == len(results)]} {claims}"
