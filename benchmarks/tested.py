"""`scrub test` of the 26-head claim and its foil at GPT-2 small's size, as it is typed: CPU minutes of one thread.

python benchmarks/tested.py           # some seven minutes: a model that refutes the claim, and one that does not
python benchmarks/tested.py 50257     # of another vocabulary

A directory model of random weights in which three heads copy the name, and the gallery's file beside it, with rows
of its own: 100 IOI and 100 ABC prompts of 16 tokens, of 16 names as in the file, so that many rows agree on each
value. All that `scrub test` does by default: imports, reading and checking the model, draws, shuffled values, what
parts earn, and of a claim that is not supported what breaks it and what it leaves out.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from attrs import frozen
from ioi import CLAIM, CLAIMED, LENGTH, OTHERS, ROOT, copying

NAMES, ROWS = 16, 200  # tokens that are names; rows, every second one scored
MODELS = {"refuted": OTHERS, "not refuted": CLAIMED}  # which heads copy: none of the claim, or three of it
WITH_ROWS = """

import json
data = Dataset.from_rows(json.loads(open("rows.json").read()))
ioi = ioi.but(data=data)
one_inhibition_head = one_inhibition_head.but(data=data).foil("one S-inhibition head of four")
"""


@frozen
class Spent:
    """What one command took, in seconds, and what it said of each claim."""

    cpu: float
    wall: float
    said: tuple[str, ...]


def rows_with_names(vocabulary: int) -> list[dict[str, object]]:
    """Random tokens with an IO, an S1 and an S2, which is S1 in every second row and a third name in the others."""
    rng, found = np.random.default_rng(0), list[dict[str, object]]()
    for i in range(ROWS):
        tokens = rng.integers(NAMES, vocabulary, LENGTH).tolist()
        io, s1, third = rng.choice(NAMES, 3, replace=False).tolist()
        tokens[2], tokens[4], tokens[10] = io, s1, (s1, third)[i % 2]
        kind = {"is_ioi": i % 2 == 0, "is_abc": i % 2 == 1, "template": 0}
        positions = {"IO": 2, "S1": 4, "S2": 10, "END": LENGTH - 1}
        columns = {"io": io, "s1": s1, "s2": tokens[10], **kind}
        found.append({"tokens": tokens, "positions": positions, "columns": columns})
    return found


def tested(vocabulary: int, moves: tuple[tuple[int, int], ...], *options: str) -> Spent:
    """The command in a directory of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copying(vocabulary, moves).save_pretrained(folder)
        (folder / "rows.json").write_text(json.dumps(rows_with_names(vocabulary)))
        (folder / "claims.py").write_text(CLAIM.read_text() + WITH_ROWS)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "scrub", "test", "claims.py", "--model", ".", *options], check=False,
            capture_output=True, text=True, cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = tuple(line for line in done.stdout.splitlines() if "  recovered " in line and line[:1] != " ")
    assert len(said) == 2, done.stdout + done.stderr
    return Spent(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, said)


def told(vocabulary: int) -> None:
    """Prints what a test took for each of the models."""
    for words, moves in MODELS.items():
        spent = tested(vocabulary, moves)
        minutes = f"{spent.cpu / 60:.1f} min of CPU, {spent.wall / 60:.1f} by the clock"
        print(f"test, {words}, V = {vocabulary:,}: {minutes}")
        print("\n".join(f"    {line}" for line in spent.said), flush=True)


if __name__ == "__main__":
    told(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
