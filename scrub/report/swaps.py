"""What the swaps of each variable tested: the same words in the terminal, on a page and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.anatomy.tolerances import SHARES

HEAD = ("swaps of", "tested", "other inputs", "own row", "donors", "rows that agree", "no partner")
LEGEND = (
    "tested: values, where donors that agree gave the site other inputs; paths, where all else came from other rows",
    "other inputs: how many of the swaps gave them; 0% where the site has the same inputs whenever rows agree",
    "own row: the donor was the row itself, which tests no value; no partner: rows that agree with no other row",
)


def swap_row(swaps: Mapping[str, Any], rest: str) -> tuple[str, ...]:
    """The cells below `HEAD` for a variable, from the JSON form of its swaps and the claim's `rest`."""
    name, donors, alone = swaps["variable"], swaps["donors"], swaps["alone"]
    rates = other_inputs(swaps), share(swaps["self_swaps"])
    partners = f"{alone} rows" if alone else "-"
    return name, tested(swaps, rest), *rates, str(donors), sizes(swaps), partners


def tested(swaps: Mapping[str, Any], rest: str) -> str:
    """`values, paths`, one of them, or `nothing`: with rest="keep" nothing else comes from another row."""
    values = ("values",) if swaps["idle"] < 1 - SHARES else ()
    paths = ("paths",) if rest != "keep" else ()
    return ", ".join(values + paths) or "nothing"


def other_inputs(swaps: Mapping[str, Any]) -> str:
    """The share of swaps whose donor gave the site other inputs than the row's own."""
    return share(1 - swaps["idle"])


def share(value: float) -> str:
    """A share in whole percent; what is more than none is never shown as 0%, nor less than all as 100%."""
    return f"{value:.0%}" if not SHARES < value < 1 - SHARES else f"{min(max(value, 0.01), 0.99):.0%}"


def agreeing(swaps: Mapping[str, Any]) -> str:
    """How many rows of the pool agree with a row: `4`, or `2 to 106`."""
    few, many = swaps["class_min"], swaps["class_max"]
    return f"{few}" if few == many else f"{few} to {many}"


def sizes(swaps: Mapping[str, Any]) -> str:
    """`agreeing`, with the median where it differs."""
    few, many = swaps["class_min"], swaps["class_max"]
    return agreeing(swaps) + ("" if few == many else f", median {swaps['class_median']:g}")
