"""Stored criteria of a circuit as a section: faithfulness under every convention, sets, parts, tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scrub.circuit.cost import COMPLETE, MINIMAL, TESTS
from scrub.circuit.sequential import LEVEL
from scrub.claims.titles import short_name
from scrub.report.criteria import EFFECTS_ALONE, STOPPED, compared_with_none, some_of
from scrub.report.page.blocks import Block, Code, Part, Section, Words, facts, part, table
from scrub.report.page.provenance import provenance
from scrub.report.page.words import MARKS, chance, number, settings, several, share

Criteria = Mapping[str, Any]
KNOWN = ("model", "circuit", "ablated", "gap", "ratio", "normalized", "low", "high", "level", "needs", "mean_ratio",
         "mean_normalized", "aue", "ate", "explained")  # fmt: skip


def criteria_section(result: Criteria, command: str) -> Section:
    """One circuit in its JSON form."""
    f = result["faithfulness"]
    parts = several(len(result["parts"]), "edge" if result["level"] == "edges" else "part")
    brief = f"faithfulness {_interval(f)} of (F(M) - F(0))"
    said = f"{parts}, {result['ablation']} ablation, {result['direction']}: {brief}."
    rest: dict[str, Callable[[], list[Part]]] = {
        COMPLETE: lambda: part("Completeness", *_completeness(result["completeness"])),
        MINIMAL: lambda: part("Minimality", *_minimality(result)),
        TESTS: lambda: part("Tests", *_tests(result)),
    }
    cautions = [Words(f"Caution: {caution}", "note") for caution in result["cautions"]]
    if result["unfinished"]:
        said += f" Broken off before {' and '.join(result['unfinished'])}."
    found = [
        *part("Faithfulness", *_faithfulness(result)),
        *(block for name, text in rest.items() if name not in result["unfinished"] for block in text()),
        *part("Run it again", Code(command, command=True), facts(_sample(result))),
    ]
    return Section(
        f"Circuit of {short_name(result['hypothesis'])}",
        brief,
        (Words(said), *cautions),
        tuple(found),
        kind="criteria",
    )


def _interval(f: Mapping[str, Any]) -> str:
    if f["normalized"] is None or f["low"] is None:
        return share(f["normalized"])
    return f"{share(f['normalized'])} [{share(f['low'])}, {share(f['high'])}]"


def _faithfulness(result: Criteria) -> list[Block | None]:
    f = result["faithfulness"]
    rows = [
        ("F(M)", number(f["model"]), "-"), ("F(C)", number(f["circuit"]), "-"), ("F(0)", number(f["ablated"]), "-"),
        ("|F(M) - F(C)|", number(f["gap"]), number(f["aue"])),
        ("F(C)/F(M)", share(f["ratio"]), share(f["mean_ratio"])),
        ("(F(C) - F(0))/(F(M) - F(0))", _interval(f), share(f["mean_normalized"])),
    ]  # fmt: skip
    beside = [(name, number(v["model"]), number(v["circuit"])) for name, v in f.items() if name not in KNOWN]
    said = f"F is the mean of {result['metric']} ({result['better']} is better): M model, C circuit, 0 all ablated."
    errors = f"AUE {number(f['aue'])} of ATE {number(f['ate'])}, explained {share(f['explained'])} (row by row)."
    return [
        Words(said), table(("convention", "of means", "mean over rows"), rows), Words(errors, "note"),
        table(("beside", "model", "circuit"), beside),
    ]  # fmt: skip


def _completeness(c: Mapping[str, Any]) -> list[Block | None]:
    rows = [("worst found", *_gap(c["worst"]))]
    if c["random"]["n"]:
        sets = f"{c['random']['n']} random sets"
        rows += [(f"{sets}, {of}", number(c["random"][of]), "-", "-", "") for of in ("mean", "max")]
    rows += [(gap.get("variable", ""), *_gap(gap)) for gap in c["by_variable"]]
    return [
        Words("The gap |F(C \\ K) - F(M \\ K)| with K knocked out of circuit and model."),
        table(("K", "gap", "F(C \\ K)", "F(M \\ K)", "parts"), rows),
        Words(_measured(c), "note"),
    ]


def _measured(c: Mapping[str, Any]) -> str:
    if not c["apart"]:
        return f"Searched and measured on the same {c['rows']} rows, too few for two halves."
    return (
        f"Searched on {c['searched']} rows; gaps of the worst and of random sets are those on the other {c['rows']}."
    )


def _gap(gap: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return number(gap["gap"]), number(gap["circuit"]), number(gap["model"]), some_of(gap["parts"], 60)


def _minimality(result: Criteria) -> list[Block | None]:
    if compared_with_none(result["options"]):
        rows = [(n["part"], number(n["effect"]), some_of(n["context"], 40)) for n in result["minimality"]]
        said = f"The effect |F(C \\ (K + v)) - F(C \\ K)| of part v; {EFFECTS_ALONE}."
        return [table(("part", "effect", "context K"), rows), Words(said, "note")]
    rows = [
        (n["part"], number(n["effect"]), _p(n), chance(n["adjusted"]), f"{MARKS[True]} shown"
         if n["minimal"] else "not shown", some_of(n["context"], 40))
        for n in result["minimality"]
    ]  # fmt: skip
    shown = sum(n["minimal"] for n in result["minimality"])
    why = {n["reason"]: None for n in result["minimality"] if "reason" in n}
    return [
        Words(f"Shown to be needed: {shown} of {several(len(rows), 'part')}; not shown does not say unneeded."),
        table(("part", "effect", "p", "adjusted", "needed", "context K"), rows),
        *(Words(f"p undefined: {one}.", "note") for one in why),
        Words("The effect |F(C \\ (K + v)) - F(C \\ K)| of part v; null: it matters more than at most 90 % of random "
              "parts; p adjusted by Holm.", "note"),
        _stopped(result["minimality"]),
    ]  # fmt: skip


def _tests(result: Criteria) -> list[Block | None]:
    rows = [
        (t["name"], number(t["statistic"]), _p(t), f"{t['n']} {t['unit']}",
         "rejected" if t["good"] == "rejecting" else "not rejected", _outcome(t), share(t["power"]), t["null"])
        for t in result["tests"]
    ]  # fmt: skip
    head = ("test", "statistic", "p", "n", "good if", "rejected", "power", "null")
    said = f"Rejecting where p <= {LEVEL:.2f}, none adjusted; power is the chance of that if the alternative holds."
    why = {t["reason"]: None for t in result["tests"] if "reason" in t}
    found = table(head, rows)
    return (
        [found, *(Words(f"Undefined: {one}.", "note") for one in why), Words(said, "note"), _stopped(result["tests"])]
        if found
        else [Words("Left out.")]
    )


def _p(found: Mapping[str, Any]) -> str:
    """`0.410, stopped after 23 of 100`."""
    after = f", stopped after {found['n']} of {found['most']}" if "most" in found else ""
    return f"{chance(found['p'])}{after}"


def _stopped(found: Sequence[Mapping[str, Any]]) -> Block | None:
    """What p is where some comparison stopped."""
    return Words(f"{STOPPED[0].upper()}{STOPPED[1:]}.", "note") if any("most" in one for one in found) else None


def _outcome(t: Mapping[str, Any]) -> str:
    """As in the terminal: marked where it speaks for the circuit or against it."""
    if t["p"] is None:
        return "undefined"
    wanted = t["good"] == "rejecting"
    if t["p"] <= LEVEL:
        return f"yes {MARKS[wanted]}"
    return "no" if wanted or not t["power"] else f"no {MARKS[True]}"


def _sample(result: Criteria) -> list[tuple[str, str] | None]:
    draws = several(result["draws"], "draw")
    return [
        ("sample", f"{result['rows']} rows x {draws}, seed {result['seed']}"),
        ("options", settings(result["options"])) if result["options"] else None,
        ("parts", ", ".join(result["parts"])),
        ("published", result["published"]) if result["published"] else None,
        *provenance(result),
    ]
