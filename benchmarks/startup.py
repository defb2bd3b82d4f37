"""How long the static commands take to start, as ratios to importing numpy and networkx alone."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

GALLERY = Path(__file__).resolve().parents[1] / "hypotheses"
ROUNDS = 7
COMMANDS = {
    "import numpy, networkx": ["-c", "import numpy, networkx"],
    "scrub list": ["-m", "scrub", "list", str(GALLERY)],
    "scrub check": ["-m", "scrub", "check", str(GALLERY / "induction.py"), str(GALLERY / "brackets.py")],
}


def cpu(arguments: list[str]) -> float:
    """CPU seconds of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def startup() -> dict[str, float]:
    """CPU time of each command over that of the imports; the minimum over interleaved rounds."""
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            best[name] = min(best[name], cpu(arguments))
    unit = best.pop("import numpy, networkx")
    return {name: seconds / unit for name, seconds in best.items()}
