"""What the parts of a claim earn: a line of words, and a short table of those that did not earn their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scrub.claims.parts import COMPONENT, EDGE
from scrub.errors import some
from scrub.score.earned import IS_EARNED, IS_SPARE, IS_SUPERFLUOUS, IS_UNCLEAR, Earned
from scrub.score.verdict import REFUTED

EARNED_HEAD = ("part", "at", "earns", "")
MOST = 6  # parts that are told one by one
ORDER = (IS_SUPERFLUOUS, IS_SPARE, IS_UNCLEAR)
MEANING = {
    IS_SUPERFLUOUS: "they can all go together",
    IS_SPARE: "needed once others are gone",
    IS_UNCLEAR: "more rows would tell",
}


def earned_words(earned: Sequence[Earned]) -> str:
    """`14 of 16 parts earn their place, 2 spare (needed once others are gone)`."""
    counts = [(word, sum(e.word == word for e in earned)) for word in ORDER]
    others = [f"{count} {word} ({MEANING[word]})" for word, count in counts if count]
    good = sum(e.word == IS_EARNED for e in earned)
    return ", ".join([f"{good} of {len(earned)} parts earn their place", *others])


def not_earned(earned: Sequence[Earned]) -> tuple[list[tuple[str, ...]], int]:
    """A row for each part that did not earn its place, superfluous ones first; and how many more there are."""
    told = [e for word in ORDER for e in earned if e.word == word]
    rows = [(e.part.words, e.part.where or "everywhere", str(e.loss), e.word) for e in told[:MOST]]
    return rows, max(0, len(told) - MOST)


def earned_row(one: Mapping[str, Any]) -> tuple[str, str, str]:
    """A part in its JSON form: its kind, what it is, where."""
    of = f" of {one['variable']}" if one["kind"] == "component" else ""
    return one["kind"], f"{one['part']}{of}", one["site"]


def remarks(result: Mapping[str, Any]) -> tuple[str, ...]:
    """How a claim in its JSON form could be smaller: its superfluous edges, but for those of superfluous components.

    Of a refuted claim nothing is said: it is not to be made smaller.
    """
    gone = [one for one in result.get("earned", ()) if one["word"] == IS_SUPERFLUOUS]
    dropped = {one["variable"] for one in gone if one["kind"] == COMPONENT}
    # older runs do not say the parent of an edge
    edges = [one for one in gone if one["kind"] == EDGE and not dropped & {one["variable"], one.get("parent")}]
    if not edges or result["verdict"] == REFUTED:
        return ()
    told = some([f"{one['part']} @ {one['site']}" for one in edges], 4)
    return (f"the claim could be smaller: nobody needs {told}",)
