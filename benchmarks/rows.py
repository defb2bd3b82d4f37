"""A loaded GPT-2-small-sized bridge: how long it takes to take it, and a second claim on rows that are kept.

python benchmarks/rows.py [ROWS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from attrs import evolve
from ioi import model_of

from scrub import Dataset
from scrub.engine.cache import run_pool
from scrub.engine.needs import Need
from scrub.model.transformer import adapt, bridge_of
from scrub.model.weights import Transformer
from scrub.storage.rows import RowFiles


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def read(model: Transformer, data: Dataset) -> None:
    need = Need()
    for layer in range(0, 12, 3):
        need.add(("z", layer), None, range(12))
        need.add(("resid_pre", layer), None)
    with torch.no_grad():
        run_pool(model, data, need, lambda *_: None, lambda _: None)


def main(rows: int) -> None:
    bridge = bridge_of(model_of(5000), "GPT2LMHeadModel")
    tokens = torch.randint(5000, (rows, 16), generator=torch.Generator().manual_seed(0)).tolist()
    data = Dataset.from_rows([{"tokens": row} for row in tokens])
    for when in ("taken and compared", "the second time"):
        print(f"{when}: {seconds(lambda: adapt(bridge, data=data)):.2f} s")
    model = adapt(bridge, data=data)
    print(f"its digest: {seconds(lambda: model.revision):.2f} s")
    print(f"{rows} rows, not kept: {seconds(lambda: read(model, data)):.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        for when in ("first claim", "second claim"):
            kept = evolve(model, passes=RowFiles(Path(folder)))
            print(f"{rows} rows, {when}: {seconds(lambda kept=kept: read(kept, data)):.2f} s, with the digest of it")

        print(f"{rows} rows, a claim later: {seconds(lambda: read(kept, data)):.2f} s")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 128)
