"""Channels in pictures: their colours, and how an edge is named by those that read along it."""

from __future__ import annotations

from collections.abc import Sequence

INK = {"q": "#2166ac", "k": "#1b7837", "v": "#b2182b"}  # told apart by letter, too
PLAIN = "#555555"


def ink_of(channels: Sequence[str]) -> str:
    """The colour of an edge: its channel's own where it has one."""
    return INK.get(channels[0], PLAIN) if len(channels) == 1 else PLAIN


def label_of(channels: Sequence[str]) -> str:
    """`qk`, or names apart; nothing where there is but one channel."""
    if list(channels) == ["input"]:
        return ""
    return "".join(channels) if {*channels} <= {*INK} else ", ".join(channels)
