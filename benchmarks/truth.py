"""Whether verdicts mean it: true claims about models with known circuits, and all that differ in one thing.

    python benchmarks/truth.py [--seed 0] [--each 3] [--json FILE]     writes docs/truth.md

A seed nobody has looked at gives models that were generated after the code was frozen.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]  # for hypotheses/, the claims of the gallery
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: E402
from planted.gallery import gallery  # noqa: E402
from planted.graphs import computation  # noqa: E402
from planted.judging import Judged, judged  # noqa: E402
from planted.page import Setting, page  # noqa: E402
from planted.programs import program  # noqa: E402
from planted.textbook import textbook  # noqa: E402
from planted.told import Planted  # noqa: E402

import scrub  # noqa: E402

PAGE = ROOT / "docs" / "truth.md"
MODELS = 24  # random transformers, and as many random graphs


def cases(seed: int, models: int) -> Iterator[Planted]:
    for number in range(models):
        yield program(1000 * seed + number)
        yield computation(1000 * seed + number)
    yield textbook().right
    yield from gallery()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the models and of the choice of changes")
    parser.add_argument("--each", type=int, default=3, help="claims for each kind of change and model")
    parser.add_argument("--models", type=int, default=MODELS, help="random transformers, and as many graphs")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    parser.add_argument("--json", type=Path, help="every claim with what it deserves and what it got")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: list[Judged] = []
    made: list[Planted] = []
    for case in cases(given.seed, given.models):
        made.append(case)
        found += judged(case, given.each, given.seed)
        print(f"{case.name}: {len(found)} claims, {time.process_time():.0f} s", file=sys.stderr, flush=True)
    versions = {"scrub": scrub.__version__, "torch": str(torch.__version__), "python": sys.version.split()[0]}
    given.out.write_text(page(found, made, Setting(given.seed, given.each, time.process_time(), versions)))
    if given.json:
        given.json.write_text(json.dumps([judgement.to_dict() for judgement in found], indent=1))


if __name__ == "__main__":
    main()
