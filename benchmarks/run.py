"""All benchmarks in one run: prints the table and puts it into docs/benchmarks.md.

python benchmarks/run.py            # about fifteen minutes
python benchmarks/run.py --quick    # small vocabulary only, no memory run, nothing is written
python benchmarks/run.py --beside   # what a test costs beside its own draws and nothing else; nothing is written
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from circuits import BOUNDS as CIRCUIT_BOUNDS
from circuits import memory as circuit_memory
from circuits import speed as circuit_speed
from ioi import CLAIMED, OTHERS, copying, passes_beside, peak, speed
from parts import tables as part_tables
from selfcheck import BOUND as CHECK_BOUND
from selfcheck import CASES as CHECKS
from selfcheck import PASSES, passes
from selfcheck import memory as check_memory
from startup import startup

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
PEERS = {  # measured on the same shape, in the same unit; see docs/benchmarks.md
    "edge mask, half of 32,491 edges": "15 to 23",
    "26 heads, by edges": "15 to 23",
    "144 heads to the logits, direct, with both runs": "131 to 275",
    "144 heads to the logits, through MLPs, with both runs": "131 to 275",
}


def beside_a_test() -> list[str]:
    """Of a claim that the model supports, and of one that it refutes."""
    lines = ["| a test beside its own draws, in units of these | bound | supported | refuted |", "|---|---|---|---|"]
    right, wrong = (passes_beside(copying(5000, moves), 5000) for moves in (CLAIMED, OTHERS))
    for name, value in right.items():
        lines.append(f"| {name} | {BESIDE if name == 'together' else ''} | {value:.2f} | {wrong[name]:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--beside", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    if parser.parse_args().beside:
        print("\n".join(beside_a_test()))
        return
    small = speed(5000)
    large = {} if quick else speed(50257)
    lines = ["| IOI claim, per draw, in forward passes | bound | V = 5,000 | V = 50,257 |", "|---|---|---|---|"]
    for name, value in small.items():
        beside = f"{large[name]:.3f}" if name in large else ""
        lines.append(f"| {name} | {BOUNDS[name]} | {value:.3f} | {beside} |")
    lines += ["", *beside_a_test()]
    lines += ["", "| start of a command, over importing numpy and networkx | bound | measured |", "|---|---|---|"]
    lines += [f"| {name} | {BOUNDS[name]} | {value:.2f} |" for name, value in startup().items()]
    if not quick:
        lines += ["", "| memory beyond the weights, 1,000 rows x 20 draws | bound | GB |", "|---|---|---|"]
        lines += [f"| {name} | 1.2 | {peak(through):.2f} |" for name, through in (("direct", ""), ("mlps", "mlps"))]
    lines += ["", "| circuits, in forward passes | bound | V = 5,000 | peers |", "|---|---|---|---|"]
    for name, value in circuit_speed(5000).items():
        lines.append(f"| {name} | {CIRCUIT_BOUNDS[name]} | {value:.3f} | {PEERS.get(name, '')} |")
    if not quick:
        lines += ["", "| memory beyond the weights, one edge mask, 16 rows | bound | GB |", "|---|---|---|"]
        lines.append(f"| half of all edges | 0.4 | {circuit_memory():.2f} |")
    lines += ["", "| proposals, with both runs, in forward passes | bound | V = 5,000 | peers |", "|---|---|---|---|"]
    for name, value in proposal_speed(5000).items():
        lines.append(f"| {name} | {PROPOSAL_BOUNDS[name]} | {value:.2f} | {PROPOSAL_PEERS.get(name, '')} |")
    if not quick:
        lines += ["", "| memory beyond the weights, 16 rows | bound | GB | peers |", "|---|---|---|---|"]
        for name in (ATP, EAP, EAP_IG):
            beside = "" if name == ATP else PEER_MEMORY
            lines.append(f"| {name} | {MEMORY} | {proposal_memory(name):.2f} | {beside} |")
        lines += ["", "| memory beyond the weights, the self-check of a model | bound | GB |", "|---|---|---|"]
        lines += [f"| {name} | {CHECK_BOUND} | {check_memory(name):.2f} |" for name in CHECKS]
        lines += ["", "| the self-check of GPT-2 (124M), in forward passes of | bound | measured |", "|---|---|---|"]
        lines += [f"| {name} | {PASSES} | {value:.2f} |" for name, value in passes().items()]
        lines += ["", *part_tables()]
    print("\n".join(lines))
    if not quick:
        head, _, rest = PAGE.read_text().partition("<!-- table -->")
        tail = rest.partition("<!-- end -->")[2]
        PAGE.write_text(head + "<!-- table -->\n" + "\n".join(lines) + "\n<!-- end -->" + tail)


if __name__ == "__main__":
    main()
