"""Positions have names: `END`, `S1+1`, `-1`, `"S1 S2"`, `all`. Read and printed here alone."""

from __future__ import annotations

import re

from attrs import frozen

from scrub.errors import ClaimError

_SLOT = re.compile(r"([^\W\d]\w*)?([+-]?[0-9]{1,18})?")


@frozen(order=True)
class Slot:
    """A named position plus an offset, or without a name an integer (negative from the row's end)."""

    name: str
    offset: int = 0

    def __str__(self) -> str:
        if not self.name:
            return str(self.offset)
        return self.name + (f"{self.offset:+d}" if self.offset else "")


ALL = Slot("all")
OTHER = Slot("other positions")  # all that have no name: of what a claim leaves out, no claim can say it


def parse_slots(at: str | int | list[str | int] | tuple[str | int, ...]) -> tuple[Slot, ...]:
    """The slots that `at=` names: a name, arithmetic, an integer, several of these, or `all`.

    Raises ClaimError for what is none, for a slot named twice, and for `all` beside others.
    """
    words = at.replace(",", " ").split() if isinstance(at, str) else at if isinstance(at, list | tuple) else [at]
    if not words:
        raise ClaimError(f"at={at!r} names no position: write at='END', at='S1+1', at=-1 or at='all'.")
    slots = tuple(_parse_slot(word) for word in words)
    if len(set(slots)) < len(slots):
        raise ClaimError(f"at={at!r} names a position twice.")
    if ALL in slots and len(slots) > 1:
        raise ClaimError(f"at={at!r}: 'all' stands alone.")
    return slots


def split_place(text: str) -> tuple[str, str]:
    """`9.6.q @ END` as what is named and where, which is empty where no place is named."""
    name, _, place = text.partition("@")
    return name.strip(), place.strip()


def _parse_slot(word: str | int) -> Slot:
    if isinstance(word, int) and not isinstance(word, bool):
        return Slot("", word)
    match = _SLOT.fullmatch(word) if isinstance(word, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if match is None or not word:
        raise ClaimError(f"{word!r} is no position: write a name (END), a name plus an offset (S1+1) or an integer.")
    name, offset = match[1] or "", int(match[2] or 0)
    if name == "all" and offset:
        raise ClaimError(f"{word!r} is no position: 'all' takes no offset.")
    return Slot(name, offset)


def print_slots(slots: tuple[Slot, ...]) -> str:
    return " ".join(str(slot) for slot in slots)


def locate(slot: Slot, positions: dict[str, int], length: int) -> int | None:
    """The index that a slot has in a row of `length` tokens, or None where the row does not have it."""
    if slot.name:
        base = positions.get(slot.name)
        index = None if base is None else base + slot.offset
    else:
        index = slot.offset if slot.offset >= 0 else length + slot.offset
    return index if index is not None and 0 <= index < length else None
