"""Numbers of a stored run in words. What is undefined says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scrub.claims.titles import short_name

UNDEFINED = "undefined"
TITLED = 3  # claims that a title names
MARKS = {True: "✓", False: "✗", None: ""}


def number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4g}"


def share(value: float | None, sign: str = "") -> str:
    return UNDEFINED if value is None else f"{value:{sign}z.2f}"


def span(mark: Mapping[str, Any]) -> str:
    """`0.88 [0.86, 0.90]`, without ends where there are none."""
    if mark["value"] is None or mark["low"] is None or mark["high"] is None:
        return share(mark["value"])
    return f"{share(mark['value'])} [{share(mark['low'])}, {share(mark['high'])}]"


def rate(value: float) -> str:
    return f"{value:.0%}"


def chance(p: float | None) -> str:
    """A p-value: four decimals, or two digits where these would say nothing."""
    if p is None:
        return UNDEFINED
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.1e}"


def several(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def settings(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def titled(names: Sequence[str]) -> str:
    """The claims that a page is about, by their own names: the first three, and how many more there are."""
    own = list(dict.fromkeys(map(short_name, names)))
    more = [f"{len(own) - TITLED} more"] if len(own) > TITLED else []
    return ", ".join([*own[:TITLED], *more])
