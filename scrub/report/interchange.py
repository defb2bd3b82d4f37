"""Interchange interventions in words: a line for each variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrub.report.fixed import fixed
from scrub.report.text import options_words, short_name, table

if TYPE_CHECKING:
    from scrub.score.interchange import Interchange, Share


def interchange_text(found: Interchange) -> str:
    """How often the model answers what the story says, with a variable taken from a row that differs in it."""
    head = ("variable", "answers a*", "chance", "rows", "where they agree", "should not move", "unnamed a*")
    rows: list[tuple[str, ...]] = [(*head, "then leaves its own")]
    for e in found.exchanges:
        left = f"{e.unsaid:.0%}" if e.unsaid else "-"
        chance = "-" if e.moved.chance is None else f"{e.moved.chance:.2f}"
        shown = [_shown(share) for share in (e.moved, e.moved_agreeing, e.stayed, e.departed)]
        rows.append((e.variable, shown[0], chance, str(e.moved.rows), shown[1], shown[2], left, shown[3]))
    sample = f"{found.rows} rows x {found.draws} donors, seed {found.seed}"
    agree = f"model and story agree on {found.agreeing:.1%} of the rows as they are"
    lines = [f"{short_name(found.hypothesis)}: interchange interventions", *(f"    {line}" for line in table(rows))]
    if any(e.unsaid for e in found.exchanges):
        lines.append(
            "    unnamed a*: the model could not be found to give the story's answer; it may leave its own, no more"
        )
    lines += [f"    {e.variable} has no score: {e.reason}" for e in found.exchanges if e.reason]
    lines.append(f"    {sample}; {agree}")
    return "\n".join([*lines, f"    options  {options_words(found.options)}"] if found.options else lines)


def interchange_html(found: Interchange) -> str:
    """The words of the terminal in a fixed-width block."""
    return fixed(interchange_text(found))


def _shown(share: Share) -> str:
    if share.share.value is None:
        return "-"
    return str(share.share) if share.share.low is not None else f"{share.share.value:.2f}"
