"""How every benchmark measures: CPU time, interleaved, and peaks of memory in fresh processes (Linux)."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from torch.utils.flop_counter import FlopCounterMode


def best_of(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The least CPU time of every run, in seconds, over interleaved rounds."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    return best


def products(run: Callable[[], object]) -> int:
    """The multiplications of a run's products of matrices, as torch counts them."""
    with FlopCounterMode(display=False) as counted:
        run()
    return counted.get_total_flops() // 2


def growth(run: Callable[[], object]) -> float:
    """The peak of memory while a run lasts, beyond what is held before it, in GB."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) / 1024**2


def in_fresh_process(file: str, *arguments: str) -> float:
    """The number that a script prints last, with one thread."""
    done = subprocess.run(
        [sys.executable, file, *arguments], check=True, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def _status(field: str) -> int:
    """A line of /proc/self/status, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])
