"""Stored interventions as sections: interchange, how many rows a test needs, sweeps, and paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.claims.titles import short_name
from scrub.report.page.blocks import Block, Code, Picture, Section, Words, facts, part, table
from scrub.report.page.provenance import provenance
from scrub.report.page.redrawn import swept
from scrub.report.page.words import number, rate, settings, several, share, span

Found = Mapping[str, Any]
LARGEST = 20  # effects that are listed


def interchange_section(found: Found, command: str) -> Section:
    """Interchange interventions in their JSON form: a line for each variable."""
    head = ("variable", "answers a*", "chance", "rows", "where they agree", "should not move", "unnamed a*", "note")
    rows = [
        (e["variable"], _or(e), share(e["chance"]) if e["chance"] is not None else "-", str(e["rows"]),
         _or(e["agreeing"]), _or(e["stayed"]), rate(e["unsaid"]) if e["unsaid"] else "", e["reason"])
        for e in found["interchange"]
    ]  # fmt: skip
    best = "; ".join(f"{e['variable']} {share(e['value'])}" for e in found["interchange"] if e["value"] is not None)
    said = Words("a* is what the story answers with the variable taken from a row that differs in it.", "note")
    agree = f"Model and story agree on {found['agreeing']:.1%} of the rows as they are."
    return _section(
        f"Interchange of {short_name(found['hypothesis'])}", best or "no variable has a score",
        (Words(agree), table(head, rows), said), "interchange", found, command, "donor",
    )  # fmt: skip


def power_section(found: Found, command: str) -> Section:
    """How many rows a test needs, in its JSON form."""
    pilot = found["pilot"]
    brief = f"{several(found['rows'], 'row')} tell differences of {found['detectable']:.3f} of what is recovered"
    rows = [
        (name, f"{found[key]:.3f}", f"{found[key + '_high']:.3f}")
        for name, key in (("difference that is told", "detectable"), ("standard error", "error"))
    ]
    said = f"Foretold from a pilot of {_rows(pilot)}."
    head = ("of what is recovered", "expected", "at worst (90 %)")
    return _section(
        f"Rows for {short_name(found['hypothesis'])}",
        brief,
        (Words(said), table(head, rows)),
        "power",
        found,
        command,
    )


def sweep_section(found: Found, command: str) -> Section:
    """A sweep in its JSON form: the heat map, and the largest effects."""
    largest = sorted(found["effects"], key=lambda e: -abs(e["effect"]))
    rows = [(e["sender"], e["at"] or "", number(e["effect"]), _ends(e)) for e in largest[:LARGEST]]
    said = f"The {len(rows)} largest of {several(len(largest), 'effect')}; each interval is that of one effect."
    if left := found.get("unfinished"):
        said += f" Broken off before {several(len(left), 'sender')}."
    first = largest[0]
    brief = f"{first['sender']} has the largest effect, {number(first['effect'])} on {found['metric']}"
    return _section(
        f"Sweep {found['to']}", brief,
        (Picture(swept(found), f"The change of {found['metric']} with each sender patched; {_how(found)}."),
         table(("sender", "at", "effect", "interval"), rows, said)),
        "sweep", found, command,
    )  # fmt: skip


def paths_section(found: Found, command: str) -> Section:
    """Paths that were patched together, in their JSON form."""
    rows = [
        (found["metric"], number(found["value"]["value"]), _ends(found["value"])),
        ("before", number(found["base"]), ""),
        ("change", number(found["change"]["value"]), _ends(found["change"])),
    ]
    brief = f"{found['metric']} changes by {number(found['change']['value'])}"
    said = Words(f"{found['circuit']}: {_how(found)}; {found['better']} is better.")
    return _section("Paths", brief, (said, table(("", "mean", "interval"), rows)), "paths", found, command)


def _section(title: str, brief: str, before: tuple[Block | None, ...], kind: str, *run: Any) -> Section:
    found, command, *each = run
    sample = [
        ("sample", f"{_rows(found, *each)}, seed {found['seed']}") if "seed" in found else None,
        ("options", settings(found["options"])) if found["options"] else None,
        *provenance(found),
    ]
    again = part("Run it again", Code(command, command=True), facts(sample))
    return Section(title, brief, tuple(b for b in before if b is not None), tuple(again), kind=kind)


def _rows(found: Found, each: str = "draw") -> str:
    draws = "every draw" if found["draws"] is None else several(found["draws"], each)
    return f"{several(found['rows'], 'row')} x {draws}"


def _how(found: Found) -> str:
    start = "the model" if found["direction"] == "noising" else "the ablated run"
    return f"{found['ablation']} ablation, {found['direction']}, from {start} at {number(found['base'])}"


def _or(found: Found) -> str:
    return "-" if found["value"] is None else span(found)


def _ends(found: Found) -> str:
    return "undefined" if found["low"] is None else f"[{number(found['low'])}, {number(found['high'])}]"
