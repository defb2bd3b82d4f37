"""`scrub.diff`: what one claim says and another does not, one fact a line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from scrub.claims.facts import canonical_text, facts_of
from scrub.claims.frozen_files import CLAIM
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.published import ClaimDiff
from scrub.claims.thaw import read_frozen
from scrub.claims.thaw import thaw as thaw
from scrub.claims.titles import name_of
from scrub.errors import ClaimError, is_file, path_of
from scrub.model.resolve import sound
from scrub.verbs.freeze import model_name, revision_told


def diff(a: Hypothesis | str | Path, b: Hypothesis | str | Path) -> ClaimDiff:
    """What one claim says and the other does not; a path is the directory of a frozen claim.

    Raises ClaimProblems for a claim that `check` refuses, ClaimError for a directory that holds none.
    """
    first, second = Counter(_text(a)), Counter(_text(b))
    alone = [tuple(sorted(lines.elements())) for lines in (first - second, second - first)]
    return ClaimDiff(_called(a), _called(b), alone[0], alone[1])


def _called(one: Hypothesis | str | Path) -> str:
    return name_of(one) if isinstance(one, Hypothesis) else str(one)


def _text(one: Hypothesis | str | Path) -> tuple[str, ...]:
    if isinstance(one, str | Path):
        folder = path_of(one, "diff(a, b)")
        if not is_file(folder / CLAIM):
            raise ClaimError(f"{one} holds no {CLAIM}: it is no frozen claim.")
        return read_frozen(folder).text
    claim, source = sound(one, expecting=False)
    facts = facts_of(claim, model_name(one.model), revision_told(source, one.model))
    return canonical_text(facts, claim.values, claim.data)
