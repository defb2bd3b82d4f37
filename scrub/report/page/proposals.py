"""A stored proposal as a section: the heat map, the strongest nodes and edges, how far they can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.anatomy.table import TABLE
from scrub.claims.titles import short_name
from scrub.report.page.blocks import Block, Code, Picture, Section, Words, facts, items, part, table
from scrub.report.page.provenance import provenance
from scrub.report.page.redrawn import heat_map
from scrub.report.page.words import rate, settings, several, share
from scrub.report.ranked import number, size

Proposal = Mapping[str, Any]
NODES, EDGES = 20, 10  # that are listed


def proposal_section(p: Proposal, command: str) -> Section:
    """One proposal in its JSON form."""
    name = short_name(p["hypothesis"]) if p["hypothesis"] else str(p["provenance"]["model"]["name"])
    brief = f"{p['method']}, {p['direction']}, {p['metric']}: {several(len(p['nodes']), 'node')} by effect"
    effect = (
        f"Base {size(p['base'])}, source {size(p['source'])}; an effect is metric(base with a node from source) - "
    )
    before = [Words(brief + "."), Picture(heat_map(p), f"{effect}metric(base).")]
    parts = [
        *part("Strongest nodes", *_nodes(p)),
        *part("Strongest edges", *_edges(p)),
        *part("What may be missed", items(_missed(p)), _agreement(p)),
        *part("Run it again", Code(command, command=True), facts(_sample(p))),
    ]
    return Section(f"Proposal for {name}", brief, tuple(before), tuple(parts), kind="proposal")


def _best(node: Mapping[str, Any]) -> float:
    return abs(node["score"] if node["exact"] is None else node["exact"])


def _nodes(p: Proposal) -> list[Block | None]:
    """In the order of what is known best, without the stream as a whole, as the terminal lists them."""
    ranked = [
        (rank, n) for rank, n in enumerate(p["nodes"], 1)
        if n["kind"] not in TABLE
        or (not TABLE[n["kind"]].is_stream and (not TABLE[n["kind"]].given or n["position"] is not None))
    ] or list(enumerate(p["nodes"], 1))  # fmt: skip
    ranked.sort(key=lambda found: -_best(found[1]))
    signed = "absolute" in p["aggregate"]
    text = size if signed else number
    rows = [
        (n["node"], "" if n["position"] is None else str(n["position"]), str(rank),
         "-" if n["exact"] is None else text(n["exact"]), text(n["score"]), number(n["signed"]) if signed else "",
         n["method"], "disagree" if n["disagree"] else "")
        for rank, n in ranked[:NODES]
    ]  # fmt: skip
    head = ("node", "at", "rank", "exact", "estimate", "signed", "method", "companions")
    said = (
        f"The {len(rows)} strongest of {several(len(ranked), 'node')}, exact effects where patched; {p['aggregate']}."
    )
    return [table(head, rows, said)]


def _edges(p: Proposal) -> list[Block | None]:
    some = sorted(p["edges"], key=lambda e: -abs(e["score"]))[:EDGES]
    absolute = "absolute" in (p.get("edge_aggregate") or "")
    text, what = (size, "means of |estimate|") if absolute else (number, "signed mean estimates")
    rows = [(e["sender"], e["receiver"], text(e["score"])) for e in some]
    said = f"By {p['edge_method']}: {what}, none is patched; {len(rows)} of {len(p['edges'])}."
    sources = sorted(p["sources"], key=lambda s: -abs(s["share"]))[:EDGES]
    written = [(s["head"], "elsewhere" if s["position"] is None else str(s["position"]), number(s["share"]))
               for s in sources]  # fmt: skip
    return [
        table(("sender", "receiver", "score"), rows, said),
        table(("head", "token at", "score"), written, "What heads write to the answer from a token (base run)."),
    ]


def _missed(p: Proposal) -> list[str]:
    lines = [f"Caution: {caution}" for caution in p["cautions"]]
    if p["hypothesis"]:
        lines.append("Left out by the claim: " + (", ".join(map(str, p["left_out"])) or "nothing strong"))
    lines.append("The top stands: further patches changed nothing in it." if p["stands"]
                 else "The top may yet change: the budget of patches ended before it stood.")  # fmt: skip
    for bound in p["bound"]:
        if bound["value"] is not None:
            level = f"{100 * bound['level']:g} %"
            lines.append(f"With {level} confidence no unpatched node has a mean effect above {size(bound['value'])}.")
    return [*lines, f"Unpatched: {several(p['bounded']['nodes'], 'node')}; {p['bounded']['assumption']}."]


def _agreement(p: Proposal) -> Block | None:
    found = p["agreement"]
    if not found["live"]:
        return Words("No node was patched to verify an estimate.", "note")
    kinds = {"all": found} | (found["by_kind"] if len(found["by_kind"]) > 1 else {})
    rows = [
        (kind, str(a["nodes"]), _or(a["pearson"]), _or(a["spearman"]), "-" if a["sign"] is None else rate(a["sign"]),
         "-" if a["slope"] is None else size(a["slope"]), str(a["false_negatives"]))
        for kind, a in kinds.items()
    ]  # fmt: skip
    head = ("kind", "patched", "pearson", "spearman", "same sign", "slope", "missed")
    return table(head, rows, "Agreement of estimates with exact effects, over patched nodes.")


def _or(value: float | None) -> str:
    return "-" if value is None else share(value)


def _sample(p: Proposal) -> list[tuple[str, str] | None]:
    passes = ", ".join(f"{size(count)} {what}" for what, count in p["passes"].items())
    return [
        ("sample", f"{several(p['rows'], 'row')}, seed {p['seed']}; they were seen: test a claim on others"),
        ("passes", f"{passes} over all rows"),
        ("rules", ", ".join(f"{rule} {state}" for rule, state in p["rules"].items())) if p["rules"] else None,
        ("options", settings(p["options"])) if p["options"] else None,
        *provenance(p),
    ]
