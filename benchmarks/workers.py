"""How much faster workers are than one process: `python benchmarks/workers.py [WORKERS [ROWS]]`.

The IOI claim through MLPs on a random model of GPT-2 small's size: the pool and 20 draws of each row. Wall time,
every process on one thread, the least of interleaved rounds; imports, making the model and judging are left out.
"""

from __future__ import annotations

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from attrs import evolve
from ioi import DRAWS, claim_of, model_of, rows_of, set_up

from scrub.model.transformer import adapt, bridge_of
from scrub.model.workers import ALONE, Copies, Workers
from scrub.score.blocks import KeepNothing
from scrub.score.sample import Samples, sample
from scrub.verbs.setup import references

VOCABULARY, ROUNDS = 5000, 2


def main(number: int, rows: int) -> None:
    torch.set_num_threads(1)
    weights, data = adapt(bridge_of(model_of(VOCABULARY), "GPT2LMHeadModel")), rows_of(rows, VOCABULARY)

    def run(workers: Workers) -> tuple[dict[str, float], Samples]:
        model, start = evolve(weights, workers=workers), time.perf_counter()
        bench = evolve(set_up(claim_of("mlps", data, model), model), keep=KeepNothing(workers))
        pool = time.perf_counter()
        found = sample(bench, references(bench.claim, None, 0), DRAWS, 0)
        end = time.perf_counter()
        return {"pool": pool - start, "draws": end - pool, "both": end - start}, found

    least: dict[Workers, dict[str, float]] = {}
    for _ in range(ROUNDS):
        tables = []
        for workers in (ALONE, Copies(number, 0.0)):
            taken, found = run(workers)
            known = least.setdefault(workers, taken)
            least[workers] = {name: min(known[name], seconds) for name, seconds in taken.items()}
            tables.append(found.scrubbed)
        assert tables[0].tobytes() == tables[1].tobytes()  # bit by bit
    one, many = least.values()
    print(f"| {rows} rows, {DRAWS} draws | one process, s | {number} workers, s | times as fast |\n|---|---|---|---|")
    for name in one:
        print(f"| {name} | {one[name]:.2f} | {many[name]:.2f} | {one[name] / many[name]:.2f} |")


if __name__ == "__main__":
    main(*(int(given) for given in [*sys.argv[1:], *("2", "52")[len(sys.argv) - 1 :]]))
