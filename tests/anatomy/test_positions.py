"""Positions by name, with arithmetic, as integers, several, or `all`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrub.anatomy.positions import ALL, Slot, locate, parse_slots, print_slots
from scrub.errors import ClaimError

SLOTS = st.builds(Slot, st.sampled_from(["", "END", "S1", "_x9", "été"]), st.integers(-30, 30))


@given(st.lists(SLOTS, min_size=1, unique=True))
def test_slots_round_trip(slots: list[Slot]) -> None:
    assert parse_slots(print_slots(tuple(slots))) == tuple(slots)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("END", [Slot("END")]),
        ("S1+1", [Slot("S1", 1)]),
        ("S1-12", [Slot("S1", -12)]),
        (-1, [Slot("", -1)]),
        ("-1", [Slot("", -1)]),
        ("S1 S2", [Slot("S1"), Slot("S2")]),
        ("S1, 3", [Slot("S1"), Slot("", 3)]),
        ("all", [ALL]),
        (["S1", 0], [Slot("S1"), Slot("", 0)]),
        ("S1+0", [Slot("S1")]),
    ],
)
def test_what_at_may_say(at: Any, expected: list[Slot]) -> None:
    assert parse_slots(at) == tuple(expected)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("", "names no position: write at='END'"),
        ([], "names no position"),
        ("S1*2", r"'S1\*2' is no position: write a name \(END\)"),
        ("+", "is no position"),
        (None, "None is no position"),
        (True, "True is no position"),
        (1.5, "1.5 is no position"),
        ("END END", "names a position twice"),
        ("S1 S1+0", "names a position twice"),
        ("all END", "'all' stands alone"),
        ("all+1", "'all' takes no offset"),
    ],
)
def test_what_at_may_not_say(at: Any, message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        parse_slots(at)


@pytest.mark.parametrize(
    ("slot", "index"),
    [
        (Slot("S1"), 2),
        (Slot("S1", 2), 4),
        (Slot("S1", 3), None),
        (Slot("S1", -3), None),
        (Slot("", 0), 0),
        (Slot("", -1), 4),
        (Slot("", -5), 0),
        (Slot("", -6), None),
        (Slot("", 5), None),
        (Slot("S2"), None),
    ],
)
def test_a_slot_in_a_row_of_five_tokens(slot: Slot, index: int | None) -> None:
    assert locate(slot, {"S1": 2}, 5) == index
