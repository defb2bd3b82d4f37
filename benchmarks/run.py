"""All benchmarks by their tables: prints each and puts it into its place in docs/benchmarks.md.

python benchmarks/run.py                  # every table
python benchmarks/run.py claims whole     # these alone, each under four minutes
python benchmarks/run.py --print claims   # nothing is written
python benchmarks/run.py --quick          # the short ones, on the small vocabulary alone; nothing is written
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from circuits import ALL_LIVE
from circuits import BOUNDS as CIRCUIT_BOUNDS
from circuits import memory as circuit_memory
from circuits import speed as circuit_speed
from growing import table as growing
from ioi import CLAIMED, OTHERS, copying, passes_beside, peak, speed
from parts import tables as part_tables
from peers import table as peers
from selfcheck import BOUND as CHECK_BOUND
from selfcheck import CASES as CHECKS
from selfcheck import PASSES, passes
from selfcheck import memory as check_memory
from sizes import table as sizes
from startup import startup
from whole import table as whole

from proposals import ATP, EAP, EAP_IG, MEMORY, PEER_MEMORY
from proposals import BOUNDS as PROPOSAL_BOUNDS
from proposals import PEERS as PROPOSAL_PEERS
from proposals import memory as proposal_memory
from proposals import speed as proposal_speed

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BOUNDS = {
    "direct, 20 draws": 0.03,
    "direct, one draw": 0.10,
    "direct, row cache": 1.2,
    "mlps, 20 draws": 0.25,
    "mlps, one draw": 0.6,
    "mlps, row cache": 1.2,
    "scrub list": 2.0,
    "scrub check": 4.0,
}


BESIDE = 6  # times the claim's own draws, whatever the verdict
PEERS = {  # measured on the same shape, in the same unit, for the same work; see docs/benchmarks.md
    "edge mask, half of 32,491 edges": "8.7",
    "edge mask, half of 32,491 edges, with both runs": "15 to 23",
    "26 heads, by edges": "8.7",
    "26 heads, by edges, with both runs": "15 to 23",
    "144 heads to the logits, direct, with both runs": "131 to 275",
    "144 heads to the logits, through MLPs, with both runs": "131 to 275",
    ALL_LIVE: "147 to 149",
}


def claims(quick: bool) -> list[str]:
    measured = [speed(vocabulary) for vocabulary in ((5000,) if quick else (5000, 50257))]
    lines = [
        "| IOI claim, per draw, in forward passes | bound | V = 5,000 | its products | V = 50,257 | its products |",
        "|---|---|---|---|---|---|",
    ]
    for name in measured[0]:
        beside = " | ".join(f"{ratio:.3f}" for each in measured for ratio in each[name])
        lines.append(f"| {name} | {BOUNDS[name]} | {beside}{' | | ' * quick} |")
    return lines


def beside_a_test(quick: bool) -> list[str]:
    """Of a claim that the model supports, and of one that it refutes."""
    lines = ["| a test beside its own draws, in units of these | bound | supported | refuted |", "|---|---|---|---|"]
    right, wrong = (passes_beside(copying(5000, moves), 5000) for moves in (CLAIMED, OTHERS))
    for name, value in right.items():
        lines.append(f"| {name} | {BESIDE if name == 'together' else ''} | {value:.2f} | {wrong[name]:.2f} |")
    return lines


def starting(quick: bool) -> list[str]:
    lines = ["| start of a command, over importing numpy and networkx | bound | measured |", "|---|---|---|"]
    return lines + [f"| {name} | {BOUNDS[name]} | {value:.2f} |" for name, value in startup().items()]


def memory(quick: bool) -> list[str]:
    lines = ["| memory beyond the weights, 1,000 rows x 20 draws | bound | GB |", "|---|---|---|"]
    return lines + [f"| {name} | 1.2 | {peak(t):.2f} |" for name, t in (("direct", ""), ("mlps", "mlps"))]


def circuits(quick: bool) -> list[str]:
    lines = ["| circuits, in forward passes | bound | V = 5,000 | peers |", "|---|---|---|---|"]
    for name, value in circuit_speed(5000).items():
        lines.append(f"| {name} | {CIRCUIT_BOUNDS[name]} | {value:.3f} | {PEERS.get(name, '')} |")
    return lines


def circuit_peak(quick: bool) -> list[str]:
    lines = ["| memory beyond the weights, one edge mask, 16 rows | bound | GB |", "|---|---|---|"]
    return [*lines, f"| half of all edges | 0.4 | {circuit_memory():.2f} |"]


def proposals(quick: bool) -> list[str]:
    lines = ["| proposals, with both runs, in forward passes | bound | V = 5,000 | peers |", "|---|---|---|---|"]
    for name, value in proposal_speed(5000).items():
        lines.append(f"| {name} | {PROPOSAL_BOUNDS[name]} | {value:.2f} | {PROPOSAL_PEERS.get(name, '')} |")
    return lines


def proposal_peaks(quick: bool) -> list[str]:
    lines = ["| memory beyond the weights, 16 rows | bound | GB | peers |", "|---|---|---|---|"]
    for name in (ATP, EAP, EAP_IG):
        beside = "" if name == ATP else PEER_MEMORY
        lines.append(f"| {name} | {MEMORY} | {proposal_memory(name):.2f} | {beside} |")
    return lines


def checks(quick: bool) -> list[str]:
    lines = ["| memory beyond the weights, the self-check of a model | bound | GB |", "|---|---|---|"]
    lines += [f"| {name} | {CHECK_BOUND} | {check_memory(name):.2f} |" for name in CHECKS]
    lines += ["", "| the self-check of GPT-2 (124M), in forward passes of | bound | measured |", "|---|---|---|"]
    return lines + [f"| {name} | {PASSES} | {value:.2f} |" for name, value in passes().items()]


TABLES: dict[str, Callable[[bool], list[str]]] = {
    "claims": claims,
    "whole": lambda quick: whole((5000,) if quick else (5000, 50257)),
    "beside": beside_a_test,
    "growing": growing,
    "sizes": lambda quick: sizes(),
    "starting": starting,
    "memory": memory,
    "circuits": circuits,
    "peers": lambda quick: peers(),
    "circuit-peak": circuit_peak,
    "proposals": proposals,
    "proposal-peaks": proposal_peaks,
    "checks": checks,
    "parts": lambda quick: part_tables(),
}
LONG = {"peers", "memory", "circuit-peak", "proposal-peaks", "checks", "parts"}  # left out where it is to be quick


def put(name: str, lines: list[str]) -> None:
    """A table into its place in the page."""
    head, begun, rest = PAGE.read_text().partition(f"<!-- table {name} -->")
    assert begun, f"{PAGE} has no place for the table {name}"
    PAGE.write_text("\n".join([head + begun, *lines, "<!-- end -->"]) + rest.partition("<!-- end -->")[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--print", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.tables or (name for name in TABLES if not (asked.quick and name in LONG)):
        lines = TABLES[name](asked.quick)
        print("", *lines, sep="\n", flush=True)
        if not (asked.quick or asked.print):
            put(name, lines)


if __name__ == "__main__":
    main()
