"""An explanation in words: which swaps do the harm, then the rows that suffer most, each with its swaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scrub.report.left_out import LEFT_OUT_HEAD, left_out_lines, left_out_rows, lost
from scrub.report.text import options_words, short_name, table

if TYPE_CHECKING:
    from scrub.score.explain import Explanation, SwapEffect
    from scrub.score.stories import Donation, RowStory

HEAD = ("swap", "at", "read by", "only it", "all but it", "undoing gains", "with all below", "own row")
LEGEND = """\
Every swap that the claim allows. "only it": what is recovered when this swap alone is made; "all but it": when it
alone is not made, and what that gains; "with all below": what is gained when every swap further down is undone too;
"own row": how often the row that was drawn is the calling row.
Where undoing a rest gains, the site reads something that the claim leaves out; where undoing a donor gains, rows
that agree on the variable are not interchangeable."""

LEFT_OUT = """\
What the claim leaves out where a rest costs something: what is gained when one sender alone, read through one
channel at one position, takes its value on the calling row."""
TOGETHER = """\
What the claim leaves out, harmless only while all of it comes from one row: no rest costs anything, but this is lost
when one sender alone, read through one channel at one position, takes its value on the calling row."""


def explanation_text(explanation: Explanation) -> str:
    """Which swaps do the harm, then the rows that suffer most."""
    lines = swap_lines(explanation)
    for story in explanation.worst:
        lines += ["", *row_lines(story, explanation.metric)]
    return "\n".join(lines)


def swap_lines(explanation: Explanation) -> list[str]:
    """Which swaps do the harm."""
    share = "undefined" if explanation.recovered is None else f"{explanation.recovered:z.2f}"
    sample = f"{explanation.rows} rows x {explanation.draws} draws, seed {explanation.seed}"
    lines = [f"{short_name(explanation.hypothesis)}  recovered {share} of {explanation.metric}  ({sample})"]
    if explanation.swaps:
        lines += ["", LEGEND, "", *table([HEAD, *map(_effect, explanation.swaps)])]
    if explanation.left_out:
        found = [one.to_dict() for one in explanation.left_out]
        words = TOGETHER if lost(found) else LEFT_OUT
        lines += ["", words, "", *left_out_lines(found), "", *table([LEFT_OUT_HEAD, *left_out_rows(found)])]
    if explanation.options:
        lines += ["", f"options  {options_words(explanation.options)}"]
    if explanation.unfinished:
        lines += ["", f"Broken off: {explanation.unfinished} more swaps were not undone."]
    if explanation.rest in ("keep", "mean", "zero"):
        lines += ["", f"No rest is swapped: the claim says rest={explanation.rest!r}."]
    return lines


def _effect(effect: SwapEffect) -> tuple[str, ...]:
    def show(value: float | None, sign: str = "") -> str:
        return "-" if value is None else f"{value:{sign}z.2f}"

    shares = show(effect.only), show(effect.without), show(effect.gain, "+"), show(effect.branch, "+")
    what = f"{effect.kind} of {effect.variable}"
    return what, effect.site, effect.route, *shares, f"{effect.self_swaps:.0%}"


def row_lines(story: RowStory, metric: str) -> Iterator[str]:
    """A row that suffers: what is said of it, and, for one draw, where every value came from."""
    yield f"row {story.row}: {metric} is {story.model:.3f} in the model, {story.scrubbed:.3f} scrubbed"
    yield f"    {story.text}"
    if story.columns:
        yield "    " + "  ".join(f"{name}={value!r}" for name, value in story.columns.items())
    yield f"    the model says {story.model_answer}; scrubbed, in draw {story.draw}, it says {story.scrubbed_answer}"
    for donation in story.donations:
        yield from _donation(donation)


def _donation(donation: Donation) -> Iterator[str]:
    lead = "    " + "  " * donation.depth
    agrees = f", {donation.agrees}" if donation.agrees else ""
    what = f"{donation.kind} of {donation.variable} ({donation.site})"
    if donation.own:
        yield f"{lead}{what}: the calling row itself, row {donation.row}{agrees}"
    else:
        yield f"{lead}{what}: row {donation.row}{agrees}"
        yield f"{lead}    {donation.text}"
