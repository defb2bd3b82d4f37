"""What a claim about parts costs beside the same claim about whole hosts, and what the controls of parts cost.

python benchmarks/parts.py          # about two minutes of CPU time; GPT-2 small's size, random

CPU time of one thread, the minimum over interleaved rounds; rows are cached. One variable of one site is read by the
answer; what is timed are 20 draws of 128 rows, through MLPs.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ioi import CLAIMED as MOVERS
from ioi import copying, rows_of
from measuring import best_of, growth
from safetensors.numpy import save_file

from scrub import Dataset, Interpretation, claim, directions, heads, latents, logits, mlps, neurons, recovers, resid
from scrub.claims.sites import Site
from scrub.model.resolve import sound
from scrub.model.transformer import adapt, bridge_of
from scrub.model.weights import Transformer
from scrub.score.part_controls import part_controls
from scrub.score.sample import ClaimBench, sample
from scrub.score.trial import Trial
from scrub.score.verdict import UNDEFINED
from scrub.verbs.setup import OpenedModel, references
from scrub.verbs.verdict import judged

VOCABULARY, ROWS, DRAWS, ROUNDS = 5000, 128, 20, 3
WIDE, MANY, CLAIMED = 768, 65536, 20  # of a dictionary: d_model, its latents, those that are claimed


def dictionary(folder: Path, width: int = WIDE) -> Path:
    """A SAELens dictionary of 65,536 random latents on disk."""
    rng = np.random.default_rng(0)
    arrays = {
        "W_enc": rng.standard_normal((width, MANY), dtype=np.float32),
        "b_enc": np.zeros(MANY, np.float32),
        "W_dec": rng.standard_normal((MANY, width), dtype=np.float32),
        "b_dec": np.zeros(width, np.float32),
    }
    folder.mkdir()
    save_file(arrays, folder / "sae_weights.safetensors")
    hook = {"hook_name": "blocks.10.hook_resid_pre"}
    card = {"architecture": "standard", "d_in": width, "d_sae": MANY, "metadata": hook}
    (folder / "cfg.json").write_text(json.dumps(card))
    return folder


def bench_of(site: Site, data: Dataset, weights: Transformer) -> ClaimBench:
    story = Interpretation()

    @story.variable
    def held(io):
        return io

    @story.variable
    def answer(held):
        return held

    @claim(story, model="gpt2", data=data, metric="logit_diff(io, s1)", through="mlps", expect=recovers(0.01))
    def about_parts():
        return {"held": site, "answer": logits("END")}

    found, source = sound(about_parts, weights)
    return OpenedModel(source, weights).bench(found)


def sites(folder: Path) -> dict[str, tuple[Site, Site]]:
    """A site of parts, and that of the whole host."""
    rng = np.random.default_rng(0)
    some = [" ".join(f"9.{unit}" for unit in rng.permutation(3072)[:count]) for count in (1, 32, 128)]
    directed = heads("9.9", at="END").part(directions(rng.normal(size=(4, WIDE)), name="U"))
    claimed = " ".join(str(one) for one in rng.permutation(MANY)[:CLAIMED])
    return {
        "4 directions of a head": (directed, heads("9.9", at="END")),
        "1 neuron": (neurons(some[0], at="END"), mlps(9, at="END")),
        "32 neurons": (neurons(some[1], at="END"), mlps(9, at="END")),
        "128 neurons": (neurons(some[2], at="END"), mlps(9, at="END")),
        "20 of 65,536 latents": (resid(10, at="END").part(latents(str(folder), claimed)), resid(10, at="END")),
    }


def controls_of(bench: ClaimBench, used: Any, weights: Transformer) -> Callable[[], object]:
    """The three controls of a claim, on its samples."""
    opened = OpenedModel(sound(bench.claim.hypothesis, weights)[1], weights)
    samples = sample(bench, used, DRAWS, 0)
    result = judged(bench, samples, Trial("parts", DRAWS, 0), opened)
    assert result.verdict != UNDEFINED, result.reason
    return lambda: part_controls(bench, samples, result, partial(opened.alike, bench))


def speed(folder: Path) -> dict[str, tuple[float, float]]:
    """By parts: draws over those of a claim about whole hosts, and the three controls over the claim's own draws."""
    weights, data = adapt(bridge_of(copying(VOCABULARY, MOVERS), "GPT2LMHeadModel")), rows_of(ROWS, VOCABULARY)
    runs: dict[str, Callable[[], object]] = {}
    for name, pair in sites(folder).items():
        for what, site in zip(("part", "host"), pair, strict=True):
            bench = bench_of(site, data, weights)
            used = references(bench.claim, None, 0)
            runs[f"{name} {what}"] = lambda bench=bench, used=used: sample(bench, used, DRAWS, 0)
            if what == "part":
                runs[f"{name} controls"] = controls_of(bench, used, weights)
    best = best_of(runs, ROUNDS)
    return {
        name: (own / best[f"{name} host"], best[f"{name} controls"] / own)
        for name in sites(folder) if (own := best[f"{name} part"])
    }  # fmt: skip


def touched(folder: Path) -> tuple[float, float]:
    """Seconds and GB that a claim takes to read 20 latents of 65,536 at a width of 2,304."""
    claimed = " ".join(str(one) for one in range(0, MANY, MANY // CLAIMED)[:CLAIMED])
    dictionary(folder, 2304)
    begun = time.process_time()
    used = growth(lambda: resid(10, at="END").part(latents(str(folder), claimed)))
    return time.process_time() - begun, used


def tables() -> list[str]:
    """What docs/benchmarks.md has of parts."""
    with tempfile.TemporaryDirectory() as place:
        found = speed(dictionary(Path(place) / "dictionary"))
        seconds, size = touched(Path(place) / "wide")
    lines = ["| a claim about parts | its draws over those of its hosts | its three controls over its draws |"]
    lines += ["|---|---|---|", "| bound | 1 | 3 |"]
    lines += [f"| {name} | {own:.2f} | {controls:.2f} |" for name, (own, controls) in found.items()]
    lines += ["", "| 20 of 65,536 latents at a width of 2,304 | measured |", "|---|---|"]
    return [*lines, f"| read from disk, CPU s | {seconds:.2f} |", f"| memory beyond what is held, GB | {size:.3f} |"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("\n".join(tables()))
