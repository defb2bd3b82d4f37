"""What the run measured: the share recovered, the metric at its ends, what is unexplained, bits, the sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrub.report.page.blocks import Block, facts
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import number, settings, share, span
from scrub.score.bars import bar_words
from scrub.score.design import SAMPLE, WORDS


def blocks(stored: StoredClaim) -> list[Block | None]:
    return [facts(_scores(stored.result))]


def _scores(result: Mapping[str, Any]) -> list[tuple[str, str] | None]:
    metric, off, bits = result["metric"], result["unexplained"], result["bits"]
    ends = ", ".join(f"{name} {number(metric[name])}" for name in ("model", "scrubbed", "random"))
    explained = "" if off["explained"] is None else f", explained {share(off['explained'])}"
    draws = "every draw" if result["draws"] is None else f"{result['draws']} draws"
    return [
        ("recovered", f"{span(result['recovered'])}; bar {result['bar']:.2f}, expected {result['expect']:.2f}"),
        _population(result),
        ("bar", bar_words(result["passes_up_to"], result["expect"])) if result.get("passes_up_to") else None,
        (metric["name"], f"{ends}; {metric['better']} is better"),
        ("unexplained", f"AUE {number(off['aue'])} of ATE {number(off['ate'])}{explained} (row by row)"),
        ("bits", f"keeps {bits['kept']:.1f} of the {bits['everything']:.1f} that tell rows apart"),
        ("story", span(result["story"])) if result.get("story") else None,
        ("sample", f"{result['rows']} rows x {draws}, seed {result['seed']}{_design(result)}"),
        ("options", settings(result["options"])) if result["options"] else None,
    ]


def _design(result: Mapping[str, Any]) -> str:
    """That the rows are all that there are, where they are."""
    design = result.get("design", SAMPLE)
    return "" if design == SAMPLE else WORDS[design]


def _population(result: Mapping[str, Any]) -> tuple[str, str] | None:
    """The interval for other rows and donors of their kind, where the result has one."""
    found = result.get("population") or {"low": None}
    if found["low"] is None or result.get("design", SAMPLE) != SAMPLE:
        return None
    ends = f"[{share(found['low'])}, {share(found['high'])}]"
    return ("population", f"{ends} for rows and donors that are others of their kind")


SECTION = ClaimSection("Scores", blocks, place=1)
