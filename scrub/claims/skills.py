"""The sub-skills of a claim, `skills="select order"`: boolean columns that mark the rows which ask for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Options
from scrub.claims.problems import Problem
from scrub.claims.resolved import Claim
from scrub.errors import nearest, some

if TYPE_CHECKING:  # a check need not wait for its import
    from jaxtyping import Bool, Int

LEAST = 10  # scored rows of a skill: an interval takes as many
MARK = "Mark the rows of each skill with True, the others with False."


def check_skills(options: Options, data: Dataset, scored: Bool[np.ndarray, " row"]) -> Iterator[Problem]:
    """A problem for every skill that is no boolean column, or that too few scored rows have."""
    for name in options.skills:
        values = [row.columns.get(name) for row in data.rows]
        wrong = [i for i, value in enumerate(values) if not isinstance(value, bool)]
        if name not in data.columns:
            known = ", ".join(data.columns) or "none"
            found = f"skills=: the data have no column {name!r}; they have {known}."
            yield Problem(found, MARK, nearest(name, data.columns))
        elif wrong:
            yield Problem(f"skills=: column {name!r} must hold True or False; rows {some(wrong)} do not.", MARK)
        elif (count := int((np.array(values, dtype=bool) & scored).sum())) < LEAST:
            found = f"skills=: column {name!r} marks {count} scored rows, and an interval takes at least {LEAST}."
            yield Problem(found, "Add rows of that skill, or leave it out.")


def rows_of_skill(claim: Claim, name: str, rows: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which of some rows a skill marks."""
    return np.array([claim.data.rows[row].columns[name] for row in rows.tolist()], dtype=bool)
