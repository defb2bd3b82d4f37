"""A claim as pure data: the text of four files that hold what it says, its rows, and every variable's values.

The engine needs values, never code: whoever has these files re-runs the claim without its author's Python.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from attrs import frozen

from scrub.claims.content import stable
from scrub.claims.data.written import plain_rows
from scrub.claims.dataset import Dataset
from scrub.claims.facts import canonical_text, facts_of
from scrub.claims.frozen_files import CLAIM, FORMAT, PARTS, ROWS, TEXT, VALUES, VOCAB
from scrub.claims.metric import Metric
from scrub.claims.plain import to_plain
from scrub.claims.resolved import Claim
from scrub.claims.values import key
from scrub.claims.wording import METRICS
from scrub.errors import ClaimError


@frozen
class Frozen:
    """The files of a claim by name, and its digest."""

    title: str
    digest: str
    files: dict[str, str | bytes]


def freeze_claim(claim: Claim, pool: Dataset, model: str | None, revision: str | None = None) -> Frozen:
    """A sound claim as data; `pool` is its data before rows that a search saw are left out.

    `model` is the name by which its model is found, None for a model that cannot be written as data. Raises
    ClaimError for a metric that is a function, for variables that are no functions of their parents; DataError for
    columns that JSON cannot hold.
    """
    if isinstance(claim.metric, Metric):
        raise ClaimError(
            f"{claim.hypothesis.title}: the metric {claim.metric} is a function, and a claim is frozen as data: use "
            f"a built-in one ({', '.join(METRICS.names())})."
        )
    facts = facts_of(claim, model, revision)
    rows = "".join(json.dumps(row) + "\n" for row in plain_rows(pool.origin.rows))
    values = as_text({"rows": _numbers(claim.data), "values": _values(claim)})
    arrays = _arrays(claim)
    files: dict[str, str | bytes] = {ROWS: rows, VALUES: values, **arrays}
    if pool.vocab is not None:
        files[VOCAB] = as_text([[number, word] for number, word in pool.vocab.words.items()])
    record = {
        "format": FORMAT,
        "digest": claim.digest,
        **facts,
        "pool": _numbers(pool),
        "files": {name: file_digest(content) for name, content in files.items()},
    }
    text = "".join(f"{line}\n" for line in canonical_text(facts, claim.values, claim.data))
    return Frozen(claim.hypothesis.title, claim.digest, {CLAIM: as_text(record), TEXT: text, **files})


def as_text(content: Any) -> str:
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def file_digest(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _arrays(claim: Claim) -> dict[str, bytes]:
    """The file of the arrays of all parts; none where there are no parts."""
    from safetensors.numpy import save

    placed = claim.placement.placed.values()
    parts = {c.part for p in placed for site in p.sites for c in site.site.components if c.part is not None}
    held = {f"{part.digest}.{n}": np.ascontiguousarray(a) for part in parts for n, a in part.arrays.items()}
    return {PARTS: save(dict(sorted(held.items())))} if held else {}


def _numbers(data: Dataset) -> list[int] | None:
    """Which rows of its origin a data set has; None for all of them."""
    if data.whole is None:
        return None
    return np.arange(len(data)).tolist() if data.numbers is None else data.numbers.tolist()


def _values(claim: Claim) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for variable in claim.hypothesis.story.variables.values():
        column = claim.values[variable.name]
        _is_function(claim, variable.name, variable.parents)
        try:
            found[variable.name] = [to_plain(value) for value in column]
        except ValueError as error:
            raise ClaimError(f"variable {variable.name!r}: {error}.") from None
    return found


def _is_function(claim: Claim, name: str, parents: tuple[str, ...]) -> None:
    """Raises ClaimError where a variable differs between rows on which all of its parents agree."""
    known: dict[str, int] = {}
    story, column = claim.hypothesis.story.variables, claim.values[name]
    read = [claim.values[p] if p in story else claim.data.column(p) for p in parents]
    for number in range(len(claim.data)):
        first = known.setdefault(given(part[number] for part in read), number)
        if key(column[first]) != key(column[number]):
            raise ClaimError(
                f"variable {name!r} is no function of {', '.join(parents) or 'nothing'}: these agree in rows {first} "
                f"and {number}, and it does not. A variable may depend on its parents alone."
            )


def given(parents: Iterable[Any]) -> str:
    """A text that tells the values of a variable's parents apart."""
    return stable(tuple(parents))
