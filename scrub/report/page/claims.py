"""A tested claim as a section: verdict, shares, scores, figure, worst rows, diagnostics, how to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from scrub.claims.titles import short_name
from scrub.report.drawn import Figure
from scrub.report.figure import figure_svg
from scrub.report.page.blocks import Block, Code, Folded, Items, Picture, Section, Words, facts, items, part, table
from scrub.report.page.diagnostics import diagnostics
from scrub.report.page.rerun import rerun
from scrub.report.page.words import MARKS, capital, number, rate, settings, share, span
from scrub.report.places import NOTHING, effect_at
from scrub.report.shares import shares_svg
from scrub.report.swaps import HEAD, LEGEND, swap_row

Result = Mapping[str, Any]


@frozen
class StoredPicture:
    """What a run stores beside a result: the claim's digest, its figure as data, unrolled tree, sites and edges."""

    digest: str
    figure: dict[str, Any]
    tree: str
    places: list[dict[str, Any]]
    edges: list[dict[str, Any]]


def claim_section(result: Result, drawn: StoredPicture, command: str) -> Section:
    """One result in its JSON form; `command` is what was asked besides the claim's name."""
    word, name = result["verdict"], short_name(result["hypothesis"])
    foil = "" if not result["foil"] else "foil, " + ("as it should be" if result["passed"] else "should be refuted")
    brief = ", ".join(filter(None, [f"recovered {span(result['recovered'])}, bar {result['bar']:.2f}", foil]))
    before: list[Block] = [Words(capital(result["reason"]))]
    if result["foil"]:
        before.insert(0, Words(f"A foil, which passes only when it is refuted: {result['foil']}.".replace("..", ".")))
    before.append(Picture(shares_svg(result), _shares_caption(result)))
    parts = [
        *part("Scores", facts(_scores(result))),
        *part("The claim", *_figure(result, drawn)),
        *part("What breaks it", *_breaks(result)),
        *part("Rows that change most", *_worst(result)),
        *part("Since the last run", items(_since(result.get("since")))),
        *part("Diagnostics", *diagnostics(result)),
        *part("Run it again", *rerun(result, command)),
    ]
    return Section(name, brief, tuple(before), tuple(parts), word, result["passed"])


def _shares_caption(result: Result) -> str:
    level = f"{100 * result['recovered']['level']:.0f} %"
    return (
        f"Recovered share of {result['metric']['name']}, with {level} intervals over rows. "
        "The dashed line is the bar: the expectation, or the best constant answer where that is higher."
    )


def _figure(result: Result, drawn: StoredPicture) -> list[Block | None]:
    effects = result["diagnostics"]["effects"]
    said = (
        "Layers up, positions across; a box is a variable at its site, an edge a channel that reads. "
        "The tables have what hovering shows."
    )
    figure = Picture(figure_svg(Figure.from_dict(drawn.figure)), said)
    return [
        figure, _sites(result, drawn, effects), _edges(drawn, effects),
        Folded("The unrolled tree", (Code(drawn.tree),)),
    ]  # fmt: skip


def _sites(result: Result, drawn: StoredPicture, effects: list[Any]) -> Block | None:
    swaps = {s["variable"]: s for s in result["diagnostics"]["variables"]}
    rest = result["options"].get("rest", "resample")
    rows: list[tuple[str, ...]] = []
    for place in drawn.places:
        s = swaps.get(place["variable"])
        known = swap_row(s, rest)[1:] if s else ("",) * len(HEAD[1:])
        ends = (*_single(place, effects, "donor"), *_single(place, effects, "rest"))
        unclaimed = ", ".join(r.removesuffix(NOTHING) for r in place["reads"] if r.endswith(NOTHING))
        rows.append((place["variable"], place["site"], unclaimed, str(place["values"]), *known, *ends))
    head = ("variable", "site", "unclaimed", "values", *HEAD[1:],
            "donor only", "donor undone", "rest only", "rest undone")  # fmt: skip
    text = " Only: recovered when this swap alone is made; undone: gained when it alone is not." if effects else ""
    return table(head, rows, "Sites. " + " ".join(f"{capital(sentence)}." for sentence in LEGEND) + text)


def _edges(drawn: StoredPicture, effects: list[Any]) -> Block | None:
    rows = [
        (e["reader"], e["at"], ", ".join(e["channels"]), e["sender"], e["site"], *_single(e, effects, "donor"))
        for e in drawn.edges
    ]
    return table(("reader", "at", "through", "reads", "from", "donor only", "donor undone"), rows, "Edges.")


def _single(place: Mapping[str, Any], effects: list[Any], kind: str) -> tuple[str, str]:
    found = effect_at(place["paths"], effects, kind)
    return ("", "") if found is None else (share(found["only"]), share(found["gain"], "+"))


def _scores(result: Result) -> list[tuple[str, str] | None]:
    metric, off, bits = result["metric"], result["unexplained"], result["bits"]
    ends = ", ".join(f"{name} {number(metric[name])}" for name in ("model", "scrubbed", "random"))
    explained = "" if off["explained"] is None else f", explained {share(off['explained'])}"
    draws = "every draw" if result["draws"] is None else f"{result['draws']} draws"
    return [
        ("recovered", f"{span(result['recovered'])}; bar {result['bar']:.2f}, expected {result['expect']:.2f}"),
        _population(result),
        (metric["name"], f"{ends}; {metric['better']} is better"),
        ("unexplained", f"AUE {number(off['aue'])} of ATE {number(off['ate'])}{explained} (row by row)"),
        ("bits", f"keeps {bits['kept']:.1f} of the {bits['everything']:.1f} that tell rows apart"),
        ("sample", f"{result['rows']} rows x {draws}, seed {result['seed']}"),
        ("options", settings(result["options"])) if result["options"] else None,
    ]


def _population(result: Result) -> tuple[str, str] | None:
    """The interval for other rows and donors of their kind, where the result has one."""
    found = result.get("population") or {"low": None}
    if found["low"] is None:
        return None
    return (
        "population",
        f"[{share(found['low'])}, {share(found['high'])}] for rows and donors that are others of their kind",
    )


def _breaks(result: Result) -> list[Block | None]:
    if not result["explanation"]:
        return [None]
    effects = result["diagnostics"]["effects"]
    rows = [
        (f"{e['kind']} of {e['variable']}", e["site"], e["route"], share(e["only"]), share(e["without"]),
         share(e["gain"], "+"), share(e["branch"], "+") if e["branch"] is not None else "-", rate(e["self_swaps"]))
        for e in effects
    ]  # fmt: skip
    head = ("swap", "at", "read by", "only it", "all but it", "undoing gains", "with all below", "own row")
    text = table(head, rows, "What is recovered, on a part of the sample.")
    every = Folded("Every swap alone, and all but each", (text,)) if text else None
    return [Items(tuple(map(capital, result["explanation"]))), every]


def _worst(result: Result) -> list[Block | None]:
    worst = result["diagnostics"]["worst"]
    if not worst:
        return [None]
    rows = [(str(w["row"]), *(number(w[k]) for k in ("model", "scrubbed", "random"))) for w in worst]
    said = f"{result['metric']['name']} of single rows, means over draws; names in brackets mark positions."
    return [table(("row", "model", "scrubbed", "random"), rows, said, [w["text"] for w in worst])]


def _since(since: Mapping[str, Any] | None) -> list[str]:
    """What changed since the last run of the claim, where runs are kept."""
    if not since:
        return []
    before = f"It was {since['verdict']}, {share(since['recovered'])}"
    if since["same"]:
        return [f"{before}: no number changed.", *since["facts"]]
    more = f"what is recovered cannot be compared on the {since['rows']} rows of both"
    if since["difference"]["value"] is not None:
        more = f"{span(since['difference'])} more is recovered, paired on {since['rows']} rows"
    return [f"{before}; {more}.", *since["facts"]]


def summary(results: Sequence[Result]) -> str:
    passed = sum(bool(result["passed"]) for result in results)
    claims = "1 claim passes" if (passed, len(results)) == (1, 1) else f"{passed} of {len(results)} claims pass"
    return f"{MARKS[passed == len(results)]} {claims}"
