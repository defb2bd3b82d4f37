"""A claim made smaller or larger, in words: every step with what it cost or gained, then the claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from attrs import asdict

from scrub.claims.titles import short_name
from scrub.report.text import options_words, table

if TYPE_CHECKING:
    from scrub.score.revision import Revision

NOTHING = {
    "shrink": "Nothing can go: the claim is as small as it can be.",
    "grow": "Nothing was added: nothing that can be said gains as much.",
}


def revision_text(revision: Revision) -> str:
    """The steps, what they cost on other rows, and the new claim."""
    shares = " -> ".join("undefined" if s is None else f"{s:z.2f}" for s in (revision.before, revision.after))
    head = f"{short_name(revision.hypothesis)}  {revision.verb}: recovered {shares}, {revision.difference}"
    sample = "every draw" if revision.draws is None else f"{revision.draws} draws"
    lines = [f"{head} on {revision.rows} rows that chose nothing", ""]
    if revision.steps:
        searched = f"{revision.seen} rows that were searched ({sample}, seed {revision.seed})"
        lines += [f"On the {searched}, worth {revision.worth:g}:"]
        lines += table([(f"{step.effect:+z.3f}", step.what) for step in revision.steps], "  ")
        lines += ["", revision.text]
    else:
        lines.append(NOTHING[revision.verb])
    lines += [f"note: {note}" for note in revision.notes]
    lines += [f"options  {options_words(revision.options)}"] if revision.options else []
    lines += [f"wrote {revision.file}. Next: scrub test {revision.file}"] if revision.file is not None else []
    return "\n".join(lines)


def steps_frame(revision: Revision) -> pd.DataFrame:
    """One line a step."""
    return pd.DataFrame([asdict(step) for step in revision.steps], columns=["what", "effect"])
