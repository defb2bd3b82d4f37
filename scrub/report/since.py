"""What changed since the last run of a claim, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scrub.score.since import Since


def since_lines(since: Since) -> Iterator[str]:
    """The paired difference first, then one fact a line; one line where nothing changed."""
    if since.same and not since.facts:
        yield "since its last run nothing changed, and no number did"
        return
    before = since.verdict if since.recovered is None else f"{since.verdict}, {since.recovered:z.2f}"
    if since.same:
        gained = "the same numbers"
    elif not since.rows:
        gained = "no row is in both, so nothing can be paired"
    elif since.difference.value is None:
        gained = f"what is recovered cannot be compared on the {since.rows} rows of both"
    else:
        d = since.difference
        gained = (
            f"{d.value:+z.3f} [{d.low:+z.3f}, {d.high:+z.3f}] is recovered, paired on the {since.rows} rows of both"
        )
    yield f"since its last run ({before}): {gained}"
    yield from (f"    {fact}" for fact in since.facts)
