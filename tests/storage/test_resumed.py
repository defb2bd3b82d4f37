"""Whatever was broken off, wherever: gone on with, it records the bits of what was not, in files as in results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

import scrub
from scrub import Dataset, Hypothesis, Interpretation, claim, embed, heads, logits, recovers
from scrub.circuit import bench, sizes
from scrub.engine import cache as engine
from scrub.model.weights import Transformer
from scrub.score import sample
from scrub.storage.blocks import Blocks
from scrub.storage.rows import RowFiles
from strategies_models import named, random_transformer


@cache
def model() -> Transformer:
    """In fp32, of which a row is rounded otherwise in other company."""
    made = (random_transformer(Random(seed)) for seed in range(100))
    return next(m for m in made if m.shape.d_mlp and m.shape.n_heads == 4 and m.shape.positions == "learned")


@cache
def data() -> Dataset:
    """Rows of six to nine tokens."""
    rng = np.random.default_rng(5)
    rows: list[dict[str, Any]] = []
    for i in range(40):
        length = 6 + i % 4
        a, b = sorted(rng.choice(length - 1, 2, replace=False).tolist())
        columns = {"kind": i % 2, "other": i, "length": length, "label": int(rng.integers(0, 9))}
        tokens = rng.integers(0, 9, length).tolist()
        rows.append({"tokens": tokens, "positions": {"A": a, "B": b, "END": length - 1}, "columns": columns})
    return Dataset.from_rows(rows)


METRIC = "logit_diff(label, kind)"


def claimed(**options: Any) -> Hypothesis:
    story = Interpretation()
    for variable, reads in (("a", "kind"), ("b", "other")):
        story.variable(named(variable, [reads], lambda values: values[0] % 3))
    story.variable(named("c", ["a", "b"], lambda values: sum(values) % 2))
    story.variable(named("answer", ["c"], tuple))
    setting: dict[str, Any] = {"metric": METRIC, "predicts": "label", "expect": recovers(0.5), "through": "mlps"}
    declare = claim(story, model=model, data=data, **{**setting, **options})
    read = heads("1.0 1.2", at="END").reads(q="b", k="b a", v="a")
    return declare({"a": embed("A"), "b": heads("0.1 0.2", at="END"), "c": read, "answer": logits("END")})


def circuits(**given: Any) -> Any:
    asked = {"rows": 8, "random": 1, "budget": 1, "tests": False, "ablation": "resample", "group": "length"}
    return scrub.criteria(claimed(), dtype="float32", **{**asked, **given})


EDGES = "0.1 -> 1.0.k, 1.0 -> logits"
FEW: dict[str, Any] = {"rows": 20, "draws": 2, "dtype": "float32"}
VERBS: dict[str, Callable[..., Any]] = {
    "test": lambda **where: scrub.test(claimed(), **FEW, **where),
    "test, mean rows": lambda **where: scrub.test(claimed(rest="mean", within="length"), **FEW, **where),
    "compare": lambda **where: scrub.compare(claimed(), claimed(through="all"), **FEW, **where),
    "explain": lambda **where: scrub.explain(claimed(), **FEW, **where),
    "criteria": lambda **where: circuits(draws=2, **where),
    "criteria of edges": lambda **where: circuits(draws=1, circuit=EDGES, **where),
    "propose": lambda **where: scrub.propose(claimed(), rows=8, verify=2, dtype="float32", **where),
}


class Killed(BaseException):
    """Nobody catches it."""


class Keeps:
    """Counts what is kept, and breaks off after so many."""

    def __init__(self) -> None:
        self.count, self.most = 0, 0

    def told(self) -> None:
        self.count += 1
        if self.count == self.most:
            raise Killed


KEEPS = Keeps()


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        small = {(sample, "CALLS_AT_ONCE"): 32, (bench, "KEPT_AT_ONCE"): 8, (engine, "ROWS_AT_ONCE"): 4}
        for (owner, name), value in {**small, (sizes, "ROWS"): 6, (sizes, "BLOCK"): 6}.items():
            patch.setattr(owner, name, value)
        for owner, name in ((Blocks, "_keep"), (RowFiles, "keep")):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        yield


def counted(keep: Callable[..., None]) -> Callable[..., None]:
    def kept(*given: Any) -> None:
        keep(*given)
        KEEPS.told()

    return kept


def run(verb: str, folder: Path | None, most: int = 0) -> tuple[str, dict[str, str]]:
    """What a verb finds, and digests of what it has kept; broken off after so many keeps."""
    KEEPS.count, KEEPS.most = 0, most
    where = {} if folder is None else {"cache": folder} if verb == "propose" else {"out": folder}
    found = VERBS[verb](**where).to_dict()
    files = [] if folder is None else sorted(folder.rglob("*.safetensors"))
    kept = {file.name: digest(file) for file in files if file.parent.name != "claims"}
    return json.dumps({k: v for k, v in found.items() if k != "provenance"}, sort_keys=True, default=str), kept


def digest(file: Path) -> str:
    """Of all arrays; words beside them stand in any order."""
    state = hashlib.sha256()
    for name, array in sorted(load_file(file).items()):
        state.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return state.hexdigest()


@cache
def whole(verb: str, folder: Path) -> tuple[str, dict[str, str], int]:
    return (*run(verb, folder / verb), KEEPS.count)


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_kept_changes_no_bit(verb: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    found, _, keeps = whole(verb, tmp_path_factory.getbasetemp())
    assert keeps > 1
    assert run(verb, None)[0] == found


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate])
@example(share=0.0)  # some rows were run
@given(share=st.floats(0, 1))
def test_a_run_that_was_broken_off_anywhere_records_the_same_bits(
    verb: str, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found, kept, keeps = whole(verb, tmp_path_factory.getbasetemp())
    folder = tmp_path_factory.mktemp("run")
    with pytest.raises(Killed):
        run(verb, folder, 1 + int(share * (keeps - 1)))
    assert run(verb, folder) == (found, kept)


def test_a_run_goes_on_in_another_memory(tmp_path: Path) -> None:
    """Which are its blocks does not depend on the bound, nor is it said beside them."""
    kept = list[set[str]]()
    for bound in ("120kB", "900GB"):
        scrub.test(claimed(), **FEW, controls="none", parts="none", explain=False, memory=bound, out=tmp_path)
        kept.append({file.name for file in (tmp_path / "blocks").glob("*.safetensors")})
    assert kept[0] == kept[1]
    assert len(kept[0]) == 2
    assert "120kB" not in (tmp_path / "run.json").read_text()
