"""What a GPU does with a claim: rows and draws a second, launches, peak of memory, share of what it can multiply.

python benchmarks/gpu.py                        # where there is one: under four minutes, about 20 GB
python benchmarks/gpu.py --device cpu --small   # the same on small models, to see that it runs

The claim is hypotheses/ioi.py, on random weights: GPT-2 small in fp32, and the shape of Llama-3 8B in bf16. The share
is that of the multiply-adds that `scrub plan` counts, over what one large product of matrices does in the same dtype.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from attrs import evolve, frozen
from ioi import LENGTH, claim_of, rows_of
from shapes import SHAPES, narrow, random_model
from torch.profiler import ProfilerActivity, profile

from scrub import Dataset
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.cost import forward_work, plan_claim
from scrub.engine.on_transformer import TransformerRows
from scrub.model.weights import Transformer
from scrub.score.measure import TransformerAnswers
from scrub.score.sample import sample
from scrub.verbs.setup import references

CASES = (("GPT-2 small (124M)", torch.float32), ("Llama-3 8B", torch.bfloat16))
THROUGH = {"direct": None, "mlps": "mlps"}
DRAWS, SEED = 20, 0
HEAD = "| model | claim | rows/s | draws/s | launches a block | peak beyond the weights, GB | share of the card |"


@frozen
class Place:
    """Where it runs, on how many rows, and for how many seconds each number is measured at most."""

    device: torch.device
    small: bool

    @property
    def rows(self) -> int:
        return 32 if self.small else 512

    @property
    def seconds(self) -> float:
        return 1.0 if self.small else 8.0

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    def wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize(self.device)


def rate(place: Place, run: Callable[[], object], count: int) -> float:
    """Items a second: runs of `count` items each, after one that is not counted, until the time is over."""
    run()
    place.wait()
    begun, done = time.perf_counter(), 0
    while not done or time.perf_counter() - begun < place.seconds:
        run()
        place.wait()
        done += count
    return done / (time.perf_counter() - begun)


def multiplied(place: Place, dtype: torch.dtype) -> float:
    """Multiply-adds a second of one large product of matrices."""
    size = 512 if place.small else 8192
    x = torch.randn(size, size, device=place.device, dtype=dtype)
    return rate(place, lambda: x @ x, size**3)


def launches(place: Place, run: Callable[[], object]) -> int:
    """Kernels that a run starts; on a CPU operations of ATen."""
    asked = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if place.cuda else [])]
    with profile(activities=asked) as found:
        run()
        place.wait()
    starts = "LaunchKernel" if place.cuda else "aten::"
    return sum(event.count for event in found.key_averages() if starts in event.key)


def peak(place: Place, run: Callable[[], object]) -> float | None:
    """The most that is allocated beyond what is held before, in GB; None on a CPU: see benchmarks/ioi.py."""
    if not place.cuda:
        return None
    torch.cuda.reset_peak_memory_stats(place.device)
    before = torch.cuda.memory_allocated(place.device)
    run()
    return (torch.cuda.max_memory_allocated(place.device) - before) / 2**30


def draw_work(claim: Claim, used: np.ndarray) -> float:
    """Multiply-adds of a draw, as they are planned."""
    graph = claim.graph
    assert isinstance(graph, TransformerGraph)
    forwards = plan_claim(claim, used, DRAWS, SEED).forwards or 0.0
    return forwards * forward_work(graph, LENGTH) / (len(used) * DRAWS)


def lines_of(place: Place, name: str, model: Transformer, best: float) -> list[str]:
    data = rows_of(place.rows, model.shape.d_vocab)
    return [line_of(place, f"{name} | {claim}", model, best, (through, data)) for claim, through in THROUGH.items()]


def line_of(place: Place, name: str, model: Transformer, best: float, asked: tuple[str | None, Dataset]) -> str:
    through, data = asked
    bench = claim_of(through, data, model)
    rows = TransformerRows.run(bench.claim, model, [bench.program])
    bench = evolve(bench, rows=rows, measured=TransformerAnswers(bench.claim, rows))
    used = references(bench.claim, None, SEED)

    def draw() -> None:
        sample(bench, used, DRAWS, SEED)

    ran = rate(place, lambda: TransformerRows.run(bench.claim, model, [bench.program]), len(data))
    drawn = rate(place, draw, len(used) * DRAWS)
    blocks = -(-len(used) * DRAWS // 512)
    held, share = peak(place, draw), drawn * draw_work(bench.claim, used) / best
    counts = f"{ran:,.0f} | {drawn:,.0f} | {launches(place, draw) / blocks:,.0f}"
    return f"| {name} | {counts} | {'' if held is None else f'{held:.2f}'} | {share:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("There is no GPU here, so nothing was measured. To try it: --device cpu --small")
    place = Place(torch.device(asked.device), asked.small)
    print(torch.cuda.get_device_name(place.device) if place.cuda else "on the CPU, which says nothing of a GPU")
    print(HEAD, "|---|---|---|---|---|---|---|", sep="\n")
    for name, dtype in CASES:
        shape = narrow(SHAPES[name]) if place.small else SHAPES[name]
        model, best = random_model(shape, place.device, dtype), multiplied(place, dtype)
        print(*lines_of(place, name, model, best), sep="\n", flush=True)
        del model


if __name__ == "__main__":
    main()
