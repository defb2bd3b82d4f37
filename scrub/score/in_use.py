"""Columns in use: what a claim reads of its rows, so that rivals may have helper columns of their own.

Draws know a row by its tokens, its named positions and its columns. Rivals whose data differ in columns that nobody
reads are compared on the columns in use alone; otherwise the columns in which they differ are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from attrs import evolve

from scrub.claims.dataset import Dataset
from scrub.claims.metric import Metric
from scrub.claims.resolved import Claim
from scrub.claims.values import digest


def on_columns_in_use(claims: Sequence[Claim]) -> tuple[list[Claim], list[str]]:
    """The claims on data that are equal, and the columns that were left out for it, in alphabetical order.

    Claims whose data are equal as they are, or differ in a column in use, stay as they are.
    """
    if _equal([claim.data for claim in claims]):
        return list(claims), []
    used = in_use(claims)
    every = {name for claim in claims for name in claim.data.columns}
    for kept in (every - set(_unlike(claims, every - used)), used):
        fewer = [claim.data.only(kept) for claim in claims]
        if _equal(fewer):
            return [_on(claim, data) for claim, data in zip(claims, fewer, strict=True)], sorted(every - kept)
    return list(claims), []


def _on(claim: Claim, data: Dataset) -> Claim:
    return evolve(claim, data=data, hypothesis=evolve(claim.hypothesis, data=data))


def _equal(several: Sequence[Dataset]) -> bool:
    return len({data.digest for data in several}) == 1


def in_use(claims: Sequence[Claim]) -> set[str]:
    """The columns that any of the claims reads.

    A metric of one's own reads what it likes: with one, all columns that every claim's data have are in use.
    """
    used = {name for claim in claims for name in _read(claim)}
    if any(isinstance(claim.metric, Metric) for claim in claims):
        used |= set.intersection(*(set(claim.data.columns) for claim in claims))
    return used


def _read(claim: Claim) -> Iterator[str]:
    """The columns that a claim names: in its story, as inputs of its model, in its setting, in its metric."""
    options = claim.options
    yield from claim.hypothesis.story.columns
    yield from claim.graph.inputs()
    yield from claim.metric.columns
    yield from filter(None, (options.predicts, options.scored, options.within, options.rest_rows, options.pair))


def differing(claims: Sequence[Claim]) -> str:
    """In what the rows of claims differ, as far as they use them."""
    several = [claim.data for claim in claims]
    if len({len(data) for data in several}) > 1:
        return "they have different numbers of rows"
    if not _equal([data.only(()) for data in several]):
        return "they differ in tokens or named positions"
    used = sorted(in_use(claims))
    if columns := _unlike(claims, used):
        return f"they differ in the column{'s' * (len(columns) > 1)} {', '.join(columns)}"
    return f"the columns {', '.join(used)} stand together in other rows"


def _unlike(claims: Sequence[Claim], names: Iterable[str]) -> list[str]:
    """The columns that do not have the same values beside the same tokens and positions in the data of all claims."""
    return [name for name in sorted(names) if len({_digest(claim.data, name) for claim in claims}) > 1]


def _digest(data: Dataset, name: str) -> str:
    """Identifies a column beside the tokens and positions of its rows."""
    count = Counter(digest(row.tokens, row.positions, {n: v for n, v in row.columns.items() if n == name})
                    for row in data.rows)  # fmt: skip
    return digest(dict(count))
