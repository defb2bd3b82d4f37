"""A claim asked in other ways, in words: a line for each, and what its verdict depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scrub.claims.variations import HALF, POLICY, SEED
from scrub.report.page.words import span
from scrub.score.verdict import UNDEFINED

STABILITY_HEAD = ("asked", "recovered", "rows", "by its interval")
WHAT = {SEED: "the seed", HALF: "the half of the data", POLICY: "the rest policy"}
MOST = 4  # ways to ask that are named
Line = Mapping[str, Any]


def stability_row(line: Line) -> tuple[str, str, str, str]:
    """A line in its JSON form: how it was asked, what is recovered, on how many rows, what that says at the bar."""
    if line["verdict"] is None:
        return line["name"], "", "", f"not asked: {line['note']}"
    return line["name"], span(line["recovered"]), str(line["rows"]), line["verdict"]


def dependence(lines: Sequence[Line]) -> tuple[str, ...]:
    """`the verdict depends on the rest policy: supported as claimed, refuted with rest='zero'`, for each kind."""
    own = next((line["verdict"] for line in lines if not line["kind"]), None)
    if own in (None, UNDEFINED):
        return ()
    unlike = [line for line in lines if line["verdict"] not in (None, UNDEFINED, own)]
    kinds = [kind for kind in WHAT if any(line["kind"] == kind for line in unlike)]
    return tuple(
        f"the verdict depends on {WHAT[kind]}: {own} as claimed, {_others([n for n in unlike if n['kind'] == kind])}"
        for kind in kinds
    )


def _others(lines: Sequence[Line]) -> str:
    """`refuted with rest='zero'; rest_scope='input', within='length'`."""
    told: list[str] = []
    for word in dict.fromkeys(line["verdict"] for line in lines):
        names = [line["name"] for line in lines if line["verdict"] == word]
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        told.append(f"{word} with {'; '.join(names[:MOST])}{more}")
    return ", ".join(told)
