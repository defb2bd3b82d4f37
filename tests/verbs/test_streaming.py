"""Every verb that runs a model runs a directory from its files: the numbers of the model in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

import scrub
from model.test_stream import KINDS
from model.tiny_models import hugging_face
from scrub import Interpretation, claim, embed, heads, logits, mlps, recovers
from scrub.circuit.ranking import PartRanking
from scrub.claims.frozen_files import CLAIM
from scrub.verbs import fit
from verbs.test_memory import close


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Llama of four layers in several shards, in bf16, as transformers writes it."""
    kind = "LlamaForCausalLM"
    found = tmp_path_factory.mktemp("streamed") / kind
    hugging_face(kind, **KINDS[kind]).to(torch.bfloat16).save_pretrained(found, max_shard_size="6KB")
    return str(found)


@cache
def copying() -> scrub.Hypothesis:
    story = Interpretation()

    @story.variable
    def found(a: int) -> int:
        return a

    @story.variable
    def answer(found: int) -> int:
        return found

    def row(i: int) -> dict[str, Any]:
        tokens = [i, 7 * i % 30, 3 * i % 30, i % 9, i % 7][: 4 + i % 2]
        columns = {"a": tokens[1], "b": (tokens[1] + 1) % 30, "partner": (i + 2) % 24}
        return {"tokens": tokens, "positions": {"A": 1, "END": -1}, "columns": columns}

    @claim(
        story, model="given", data=scrub.Dataset.from_rows([row(i) for i in range(24)]), through="mlps",
        metric="logit_diff(a, b)", expect=recovers(0.1), predicts="a",
    )  # fmt: skip
    def copying() -> Any:
        found = [heads("1.0 1.2", at="END").reads(v="a"), heads("3.1", at="END").reads(v="a")]
        return dict(a=embed("A"), found=found, answer=logits("END"))

    return copying


EXACT: dict[str, Any] = {"dtype": "float64"}  # what is chosen by gradients may hang on a rounding
VERBS: dict[str, Callable[..., Any]] = {
    "test": lambda h, **given: scrub.test(h, draws=2, controls="none", **given),
    "compare": lambda h, **given: scrub.compare(h, h.but(through=None), draws=1, controls="none", **given),
    "explain": lambda h, **given: scrub.explain(h, draws=1, rows=6, **given),
    "power": lambda h, **given: scrub.power(h, **given),
    "interchange": lambda h, **given: scrub.interchange(h, rows=6, draws=1, **given),
    "grow": lambda h, **given: scrub.grow(h, draws=1, worth=0.4, **given),
    "views": lambda h, **given: scrub.views(h, rows=6, draws=1, **given),
    "fit": lambda h, **given: fit.das(h, "found", site=heads("1.0", at="END"), rows=16, steps=2, draws=1, **given),
    "rank": lambda h, **given: fit.rank(h.but(metric="kl"), "found", site=mlps("2", at="END"), draws=1, **given),
    "criteria": lambda h, **given: scrub.criteria(h, random=3, budget=2, rows=6, **given),
    "criteria of edges": lambda h, **given: scrub.criteria(h, random=0, budget=2, rows=4, level="edges", **given),
    "run_circuit": lambda h, **given: scrub.run_circuit("1.0 2.1", h, ablation="resample", **given),
    "cpr_cmd": lambda h, **given: scrub.cpr_cmd(ranking(), h, rows=4, sizes=[0.1, 0.5], **given),
    "patch": lambda h, **given: scrub.patch_paths("1.0 -> 3.1.v ~mlps~> logits", h, **given),
    "sweep": lambda h, **given: scrub.sweep("heads mlps", "~all~> logits", h, rows=6, **given),
    "sweep of paths": lambda h, **given: scrub.sweep("heads", "-> 3.1.q ~all~> logits", h, rows=6, **given),
    "propose": lambda h, **given: scrub.propose(h, pair="partner", **EXACT, rows=6, verify=4, draws=4, **given),
    "freeze": lambda h, **given: frozen(h, **given),
}


def ranking() -> PartRanking:
    return PartRanking.of({f"{layer}.{head}": layer + head / 4 for layer in range(4) for head in range(4)})


def frozen(hypothesis: scrub.Hypothesis, **given: Any) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        scrub.freeze(hypothesis, Path(folder) / "frozen", **given)
        return json.loads((Path(folder) / "frozen" / CLAIM).read_text())


def told(result: Any) -> Any:
    """A result as JSON, without what says how the model was compared."""
    if isinstance(result, dict):
        return {key: told(value) for key, value in result.items() if key != "checked"}
    return list(map(told, result)) if isinstance(result, list | tuple) else result


@pytest.mark.parametrize("verb", VERBS)
def test_numbers_are_those_of_the_model_in_memory(verb: str, folder: str) -> None:
    there, streamed = (run(verb, model=folder, stream=stream) for stream in (False, True))
    assert close(there, streamed)


def run(verb: str, **given: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # trained subspaces are completed by torch's own generator
        found = VERBS[verb](copying(), **given)
        return told(found if isinstance(found, dict) else found.to_dict())
