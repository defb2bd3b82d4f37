"""Results as one HTML file that opens offline: no scripts, and nothing is fetched. Made from what a run stores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from jinja2 import Environment

from scrub.report.shares import shares_svg

TEMPLATE = Path(__file__).with_name("page.html")


@frozen
class Drawn:
    """What a run stores beside a result: the claim's digest, its figure and its unrolled tree."""

    digest: str
    figure: str
    tree: str


def page(title: str, results: Sequence[Mapping[str, Any]], drawings: Sequence[Drawn]) -> str:
    """The page of results in their JSON form, verdicts first, each with its drawing."""
    passed = sum(result["passed"] for result in results)
    entries = [_entry(result, drawn) for result, drawn in zip(results, drawings, strict=True)]
    template = Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, summary=f"{passed} of {len(results)} claims pass.", entries=entries)


def _entry(result: Mapping[str, Any], drawn: Drawn) -> dict[str, Any]:
    origin = {"digest": result["digest"], "options": result["options"], **result["provenance"]}
    return {
        "result": result, "name": result["hypothesis"].rpartition("/")[2], "figure": drawn.figure, "tree": drawn.tree,
        "shares": shares_svg(result), "scores": _scores(result), "swaps": _swaps(result),
        "provenance": json.dumps(origin, indent=2),
    }  # fmt: skip


def _scores(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    metric, off, bits = result["metric"], result["unexplained"], result["bits"]
    ends = ", ".join(f"{name} {_number(metric[name])}" for name in ("model", "scrubbed", "random"))
    explained = "" if off["explained"] is None else f", explained {off['explained']:.2f}"
    draws = "exact" if result["draws"] is None else f"{result['draws']} draws"
    found = [
        (metric["name"], f"{ends}; {metric['better']} is better"),
        ("unexplained", f"AUE {_number(off['aue'])} of ATE {_number(off['ate'])}{explained}"),
        ("bits", f"the claim keeps {bits['kept']:.1f} of the {bits['everything']:.1f} that tell rows apart"),
        ("sample", f"{result['rows']} rows x {draws}, seed {result['seed']}; intervals given the pool"),
    ]
    accuracy = result["diagnostics"]["accuracy"]
    return found if accuracy is None else [*found, ("story", f"by itself right on {accuracy:.1%} of the scored rows")]


def _swaps(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for v in result["diagnostics"]["variables"]:
        agree = f"{v['class_min']} to {v['class_max']}"
        rows.append((v["variable"], f"{v['self_swaps']:.0%}", f"{v['idle']:.0%}", str(v["donors"]), agree))
    return [("variable", "its own donor", "same inputs", "donors", "rows that agree"), *rows] if rows else []


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
