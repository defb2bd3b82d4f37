"""What a verdict rests on: controls, swaps, power, warnings, as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.anatomy.tolerances import ROUNDING
from scrub.report.page.blocks import Block, facts, items, table
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import UNDEFINED, capital, number, several, share, span
from scrub.report.swaps import HEAD, LEGEND, swap_row
from scrub.score.reconstruction import Reconstruction
from scrub.score.routes import Rerouted

Result = Mapping[str, Any]


def blocks(stored: StoredClaim) -> list[Block | None]:
    """Everything that was found beside the scores."""
    result = stored.result
    described = result["diagnostics"]
    return [
        items([f"Warning: {text}" for text in described["warnings"]]),
        _controls(result),
        _swaps(result),
        _found(result),
    ]


def _controls(result: Result) -> Block | None:
    rows = [
        (c["name"], span(c), "-" if c["bits"] is None else f"{c['bits']:.1f}", c.get("note", ""))
        for c in result["controls"]
    ]
    return table(("control", "recovers", "bits", "note"), rows, "Controls, on the scale of the claim.")


def _swaps(result: Result) -> Block | None:
    rest = result["options"].get("rest", "resample")
    rows = [swap_row(swaps, rest) for swaps in result["diagnostics"]["variables"]]
    said = "Swaps, over all occurrences; rows are those of the pool. " + " ".join(f"{capital(s)}." for s in LEGEND)
    return table(HEAD, rows, said)


def _found(result: Result) -> Block | None:
    described, provenance = result["diagnostics"], result["provenance"]
    seen = described["seen"]
    return facts([
        ("story", _story(described["accuracy"])),
        *_answers(result.get("story")),
        *_parts(result),
        *_ceiling(result.get("ceiling")),
        ("rest", f"{several(round(described['own_rest']), 'call')} found no rest row and kept their own"
         if described["own_rest"] else "every call found a rest row"),
        *_experts(described.get("routes")),
        *(("dictionary", str(Reconstruction(**one))) for one in described.get("dictionaries", ())),
        ("model", "scrubbed does better than the model: swaps took away errors of the model"
         if described["better_than_model"] else "scrubbed does not do better than the model"),
        ("pool", several(provenance["pool"], "row")),
        ("left out", f"{several(seen['rows'], 'row')} that a search saw, and {several(seen['partners'], 'partner')}"
         if seen["digests"] else "none: no rows are named that a search saw"),
        *_power(described["power"], result),
        *_adversary(result["adversary"]),
    ])  # fmt: skip


def _experts(routes: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if routes is None:
        return []
    return [("experts", str(Rerouted(routes["read"], routes["changed"], tuple(routes["unread"]))))]


def _story(accuracy: float | None) -> str:
    return (
        "not compared with the data" if accuracy is None else f"by itself right on {accuracy:.1%} of the scored rows"
    )


def _answers(story: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """How far the story's answer is the model's own; nothing for runs that were kept before it was asked."""
    if story is None:
        return []
    if story["value"] is None:
        return [("its answer", f"not compared with the model's: {story.get('note', UNDEFINED)}")]
    whose = "of what the model's answers vary by" if story["numbers"] else "of the rows"
    return [("its answer", f"the model's own on {span(story)} {whose}")]


def _parts(result: Result) -> list[tuple[str, str]]:
    """What sites hold, and interchange scores, where the claim says something of them."""
    held = [(f"{h['variable']} at {h['site']}", f"holds its value on {span(h)} of the rows") for h in
            result.get("holds", ())]  # fmt: skip
    asked = [(f"{i['variable']} interchanged", f"the model answers as the story does on {span(i)} of the calls") for i
             in result.get("interchange", ())]  # fmt: skip
    return held + asked


def _ceiling(ceiling: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What noise leaves, which counts as 1."""
    if ceiling is None:
        return []
    said = (
        f"with {' and '.join(ceiling['noise'])} redrawn the metric is {number(ceiling['metric'])}, which counts as 1"
    )
    return [("noise", f"{said}; on the model's own scale {span(ceiling['recovered'])} is recovered")]


def _power(power: Mapping[str, Any] | None, result: Result) -> list[tuple[str, str]]:
    if power is None:
        return [("power", UNDEFINED)]
    worst = f"({number(power['detectable_high'])} at worst, 90 % confidence)"
    described = f"a difference of {number(power['detectable'])} {worst} from the bar, four times of five"
    if power["detectable"] < ROUNDING:
        described = "not known: no spread was seen, which tells nothing of how many rows are needed"
    lines = [
        ("detectable", described),
        (
            "variance",
            f"between rows {number(power['s2_rows'])} (at most {number(power['s2_rows_high'])}), between draws "
            f"{number(power['s2_draws'])}",
        ),
    ]
    if power["rows_to_settle"] is not None:
        away = share(abs(result["recovered"]["value"] - result["bar"]))
        most = several(power["rows_to_settle_high"], "row")
        described = f"{several(power['rows_to_settle'], 'row')}, at most {most}, for a share {away} from the bar"
        lines.append(("rows to settle", described))
    return lines


def _adversary(adversary: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if adversary is None:
        return [("adversary", "not asked for: recovers(..., any_swaps=True)")]
    left = ", ".join(adversary["left_out"]) or "none"
    made = ", ".join(adversary["subset"]) or "none"
    return [
        ("adversary", f"the worst swaps found recover {span(adversary)}, on {several(adversary['rows'], 'row')}"),
        ("swaps made", made), ("swaps left out", left),
    ]  # fmt: skip


SECTION = ClaimSection("Diagnostics", blocks, place=7)
