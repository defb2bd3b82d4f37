"""How the rows of a score were come by, and so how its intervals are made: in words, without anything heavy."""

from __future__ import annotations

SAMPLE = "sample"  # of more rows of their kind
DOMAIN = "whole domain"  # all that there are, see score/domain.py
KNOWN = "whole domain, every draw"  # and nothing of them is drawn
METHODS = {
    SAMPLE: "studentised and corrected for skewness (Hall 1992) over reference rows; rare shares by Gaffke's bounds "
    "(2005)",
    DOMAIN: "studentised and corrected for skewness (Hall 1992) over the rows of the whole domain",
    KNOWN: "a point: the rows are the whole domain, and every draw is enumerated",
}
WORDS = {
    SAMPLE: "; 95% interval over rows, given the pool",
    DOMAIN: "; 95% interval over rows, which are the whole domain",
    KNOWN: "; the rows are the whole domain: nothing is sampled",
}


def sampled_draws(design: str) -> str:
    """The design of rows as they are, where not all of their draws were made."""
    return SAMPLE if design == SAMPLE else DOMAIN
