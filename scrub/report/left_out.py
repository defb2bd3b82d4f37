"""What a claim leaves out: the largest of it in sentences, and all that was measured as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LEFT_OUT_HEAD = ("sender", "at", "read by", "through", "gains")
TOP = 3
GAINS = "what it leaves out, and what reading it would recover more:"
LOSSES = "what it leaves out, harmless only while all of it comes from one row, and what it costs where one does not:"
ALIKE = 0.9  # of what all heads of a layer gain: a head that gains as much alone is told alone
Found = Sequence[Mapping[str, Any]]


def left_out_heading(found: Found) -> str:
    """What the numbers of the sentences are: all are gains, or all losses."""
    return LOSSES if lost(found) else GAINS


def lost(found: Found) -> bool:
    return any(one["gain"] < 0 for one in found)


def left_out_lines(found: Found) -> list[str]:
    """The three largest in their JSON form as sentences, each once: heads of a layer together, or one of them."""
    told: list[Mapping[str, Any]] = []
    for one in sorted(found, key=_weight):
        if not any(_says_as_much(one, other) for other in told):
            told.append(one)
    return [one["words"] for one in told[:TOP]]


def _weight(one: Mapping[str, Any]) -> float:
    return -abs(one["gain"]) * (ALIKE if len(one["senders"]) > 1 else 1)


def _says_as_much(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are of one place, and share a component."""
    same = all(one[key] == other[key] for key in ("reader", "site", "channel", "at"))
    return same and bool(set(one["senders"]) & set(other["senders"]))


def left_out_rows(found: Found) -> list[tuple[str, ...]]:
    return [
        (one["sender"], one["at"] or "", f"{one['reader']} ({one['site']})", one["channel"], f"{one['gain']:+.2f}")
        for one in found
    ]
