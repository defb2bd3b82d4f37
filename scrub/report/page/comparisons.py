"""A stored comparison as a section: who is better first, then what sets the claims apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from scrub.report.differences import differences_svg
from scrub.report.page.blocks import (
    Block,
    Code,
    Folded,
    Items,
    Picture,
    Section,
    Words,
    facts,
    items,
    part,
    table,
)
from scrub.report.page.provenance import provenance
from scrub.report.page.redrawn import pareto
from scrub.report.page.words import chance, number, settings, several, share, span
from scrub.score.comparison import A_BETTER, B_BETTER, CLAIM, HOW_TESTED, labels

Compared = Mapping[str, Any]
HOLM = "p (Holm)"
DIFFERENCES = (
    "What the first claim recovers more than the second, paired by row, with intervals; filled where one is better."
)


def comparison_section(c: Compared, command: str) -> Section:
    """One comparison in its JSON form."""
    names = labels([h["hypothesis"] for h in c["hypotheses"]])
    many = len(c["differences"]) > 1
    verdicts = [_verdict(d, names, HOLM if many else "p") for d in c["differences"]]
    drawn: list[Block | None] = [
        Picture(differences_svg(c["differences"], names), DIFFERENCES),
        _differences(c, names),
        Words(f"{HOW_TESTED}{'; ' + HOLM + ': for all pairs' if many else ''}.", "note"),
    ]  # fmt: skip
    parts = [
        *part("Differences", *drawn),
        *part("Claims", _claims(c, names), *_controls(c, names)),
        *part("Share against bits", *_pareto(c, names)),
        *part("Refinement", items(_refines(c, names))),
        *part("What sets them apart", *_structural(c, names)),
        *part("Rows that decide", *_deciding(c, names)),
        *part("Run it again", Code(command, command=True), facts(_sample(c, names))),
    ]
    title = "Comparison of " + ", ".join(names.values())
    return Section(title, _brief(verdicts), (Items(tuple(verdicts)),), tuple(parts), kind="comparison")


def _brief(verdicts: Sequence[str]) -> str:
    return verdicts[0] if len(verdicts) == 1 else f"{len(verdicts)} pairs"


def _verdict(d: Mapping[str, Any], names: Mapping[str, str], p: str) -> str:
    """One pair in a sentence; `p` is what its p-value is called."""
    a, b = names[d["a"]], names[d["b"]]
    if d["verdict"] not in (A_BETTER, B_BETTER):
        reason = str(d["reason"])
        return f"{a} or {b}: cannot tell; " + (f"{p}{reason[1:]}" if reason.startswith("p = ") else reason)
    better, other, sign = (a, b, 1) if d["verdict"] == A_BETTER else (b, a, -1)
    ends = sorted(sign * d[end] for end in ("low", "high"))
    more = f"{share(sign * d['value'])} [{share(ends[0])}, {share(ends[1])}]"
    return f"{better} is better than {other}: {more} more is recovered, {p} = {chance(d['adjusted'])}"


def _differences(c: Compared, names: Mapping[str, str]) -> Block | None:
    many = len(c["differences"]) > 1
    rows = [
        (f"{names[d['a']]} - {names[d['b']]}", span(d), chance(d["p"]), chance(d["adjusted"]) if many else "",
         _better(d, names))
        for d in c["differences"]
    ]  # fmt: skip
    return table(("recovered more", "difference", "p", HOLM, "verdict"), rows)


def _better(d: Mapping[str, Any], names: Mapping[str, str]) -> str:
    if d["verdict"] not in (A_BETTER, B_BETTER):
        return str(d["verdict"])
    return f"{names[d['a' if d['verdict'] == A_BETTER else 'b']]} better"


def _claims(c: Compared, names: Mapping[str, str]) -> Block | None:
    rows = [
        (names[h["hypothesis"]], _word(h), span(h["recovered"]), span(h["explained"]), f"{h['bits']['kept']:.1f}",
         str(h["variables"]), str(h["edges"]), span(h["story"]) if "story" in h else "")
        for h in c["hypotheses"]
    ]  # fmt: skip
    return table(("claim", "verdict", "recovered", "explained", "bits", "variables", "edges", "story"), rows)


def _word(h: Mapping[str, Any]) -> str:
    if h["verdict"] is None:
        return "no expectation"
    kind = "foil" if h["foil"] else f"expects {h['expect']:g}"
    return f"{h['verdict']} ({kind})"


def _controls(c: Compared, names: Mapping[str, str]) -> list[Block | None]:
    rows = [
        (names[h["hypothesis"]], control["name"], span(control), control.get("note", ""))
        for h in c["hypotheses"]
        for control in h.get("controls", ())
    ]
    found = table(("claim", "control", "recovers", "note"), rows)
    return [Folded("Controls of each claim", (found,))] if found else []


def _pareto(c: Compared, names: Mapping[str, str]) -> list[Block | None]:
    rows = [
        (names.get(p["hypothesis"], p["hypothesis"]), "claim" if p["kind"] == CLAIM else "control",
         f"{p['bits']:.1f}", share(p["recovered"]),
         names.get(p["dominated_by"], p["dominated_by"]) if p["dominated_by"] else "")
        for p in sorted(c["pareto"], key=lambda p: (p["bits"], -(p["recovered"] or 0)))
    ]  # fmt: skip
    caption = "Few bits and a large share are better: discs are claims, squares controls, hollow ones are dominated."
    text = table(("", "kind", "bits", "recovered", "dominated by"), rows)
    return [Picture(pareto(c), caption), Folded("The points as a table", (text,)) if text else None]


def _refines(c: Compared, names: Mapping[str, str]) -> list[str]:
    found = {(r["finer"], r["coarser"]) for r in c["refines"]}
    lines: list[str] = []
    for finer, coarser in sorted(found):
        if (coarser, finer) not in found:
            lines.append(f"{names[finer]} refines {names[coarser]}: its sites and values decide the other's")
        elif finer < coarser:
            lines.append(f"{names[finer]} and {names[coarser]} refine each other: the same sites, values and edges")
    return lines


def _structural(c: Compared, names: Mapping[str, str]) -> list[Block | None]:
    blocks: list[Block | None] = []
    for (a, b), found in groupby(c["structural"], key=lambda fact: (fact["a"], fact["b"])):
        text = [fact["fact"] for fact in found]
        blocks.append(Folded(f"{names[a]} and {names[b]}: {several(len(text), 'difference')}", (Items(tuple(text)),)))
    return blocks


def _deciding(c: Compared, names: Mapping[str, str]) -> list[Block | None]:
    blocks: list[Block | None] = []
    for (a, b), found in groupby(c["deciding"], key=lambda row: (row["a"], row["b"])):
        listed = list(found)
        rows = [
            (str(row["row"]), *(number(row[k]) for k in ("model", "metric_a", "metric_b")), names[row["favours"]])
            for row in listed
        ]
        said = f"{names[a]} or {names[b]}, by {c['metric']['name']} ({c['metric']['better']} is better)."
        blocks.append(
            table(("row", "model", names[a], names[b], "favours"), rows, said, [row["text"] for row in listed])
        )
    return blocks


def _sample(c: Compared, names: Mapping[str, str]) -> list[tuple[str, str] | None]:
    metric = c["metric"]
    draws = "every draw" if c["draws"] is None else f"{c['draws']} draws"
    return [
        ("sample", f"{c['rows']} rows x {draws}, seed {c['seed']}"),
        ("metric", f"{metric['name']}, {metric['better']} is better; model {number(metric['model'])}"),
        *[(name, str(text)) for name, text in c["options"].items()],
        *[(f"options of {names[h['hypothesis']]}", settings(h["options"])) for h in c["hypotheses"] if h["options"]],
        *[(names[h["hypothesis"]], f"digest {h['digest']}") for h in c["hypotheses"]],
        *provenance(c),
    ]
