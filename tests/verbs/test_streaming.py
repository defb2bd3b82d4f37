"""Every verb that runs a model runs a directory from its files: the numbers of the model in memory."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakSet

import click
import numpy as np
import pytest
import torch
from attrs import evolve
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import scrub
from model.test_stream import KINDS, LACKING, copies
from model.tiny_models import hugging_face
from scrub import heads, recovers
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import experiment_of
from scrub.circuit.ranking import PartRanking
from scrub.circuit.sizes import CircuitSizes
from scrub.claims.frozen_files import CLAIM
from scrub.cli.group import main
from scrub.errors import ScrubError
from scrub.model.later import Later
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.resolve import sound
from scrub.model.shards import INDEX
from scrub.model.source import Streamed, find
from scrub.verbs import fit
from verbs.test_memory import GALLERY, close


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Llama of four layers in several shards, in bf16, as transformers writes it."""
    kind = "LlamaForCausalLM"
    found = tmp_path_factory.mktemp("streamed") / kind
    hugging_face(kind, **KINDS[kind]).to(torch.bfloat16).save_pretrained(found, max_shard_size="6KB")
    return str(found)


@cache
def copying() -> scrub.Hypothesis:
    """The claim of two heads and one, on rows with a partner and a wrong answer."""

    def row(i: int) -> dict[str, Any]:
        tokens = [i, 7 * i % 30, 3 * i % 30, i % 9, i % 7][: 4 + i % 2]
        columns = {"a": tokens[1], "b": (tokens[1] + 1) % 30, "partner": (i + 2) % 24}
        return {"tokens": tokens, "positions": {"A": 1, "END": -1}, "columns": columns}

    data = scrub.Dataset.from_rows([row(i) for i in range(24)])
    return copies("mlps").but(data=data, metric="logit_diff(a, b)", expect=recovers(0.1))


EXACT: dict[str, Any] = {"dtype": "float64"}  # what is chosen by gradients may hang on a rounding
HEAD = heads("1.0", at="END")
VERBS: dict[str, Callable[..., Any]] = {
    "test": lambda h, **given: scrub.test(h, rows=6, draws=1, controls="none", parts="none", explain=False, **given),
    "compare": lambda h, **given: scrub.compare(h, h.but(through=None), rows=6, draws=1, controls="none", **given),
    "explain": lambda h, **given: scrub.explain(h, draws=1, rows=4, **given),
    "power": lambda h, **given: scrub.power(h, **given),
    "interchange": lambda h, **given: scrub.interchange(h, rows=6, draws=1, **given),
    "grow": lambda h, **given: scrub.grow(h, rows=8, draws=1, worth=0.4, **given),
    "views": lambda h, **given: scrub.views(h, rows=4, draws=1, **given),
    "fit": lambda h, **given: fit.das(h, "found", site=HEAD, rows=16, steps=1, draws=1, **EXACT, **given),
    "criteria": lambda h, **given: scrub.criteria(h, random=1, budget=1, rows=4, tests=False, **given),
    "edges": lambda h, **given: scrub.criteria(h, random=0, budget=1, rows=2, tests=False, level="edges", **given),
    "run_circuit": lambda h, **given: scrub.run_circuit("1.0 2.1", h, ablation="resample", rows=6, **given),
    "cpr_cmd": lambda h, **given: scrub.cpr_cmd(ranking(), h, rows=4, sizes=[0.1, 0.5], **given),
    "patch": lambda h, **given: scrub.patch_paths("1.0 -> 3.1.v ~mlps~> logits", h, rows=6, **given),
    "sweep": lambda h, **given: scrub.sweep("heads mlps", "~all~> logits", h, rows=4, **given),
    "propose": lambda h, **given: scrub.propose(h, pair="partner", **EXACT, rows=4, verify=4, draws=4, **given),
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
    found = VERBS[verb](copying(), **given)
    return told(found if isinstance(found, dict) else found.to_dict())


@pytest.mark.parametrize("verb", VERBS)
def test_what_files_lack_is_told_by_every_verb(verb: str, damaged: str) -> None:
    with pytest.raises(ScrubError, match=f"lacks {LACKING} in .*, which {INDEX} lists"):
        VERBS[verb](copying(), model=damaged, stream=True)


@pytest.fixture(scope="module")
def damaged(folder: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory without one tensor."""
    found = shutil.copytree(folder, tmp_path_factory.mktemp("damaged") / "model")
    file = found / json.loads((found / INDEX).read_text())["weight_map"][LACKING]
    save_file({k: v for k, v in load_file(file).items() if k != LACKING}, file, metadata={"format": "pt"})
    return str(found)


INDUCTION = f"{GALLERY / 'induction.py'}::induction"
COMMANDS: dict[str, tuple[str, ...]] = {
    **{name: (INDUCTION,) for name in ("test", "compare", "explain", "criteria", "power", "interchange", "views")},
    **{name: (INDUCTION,) for name in ("shrink", "grow", "sweep", "propose", "check", "plan")},
    "patch": (INDUCTION, "--path", "1.0 -> logits"),
    "freeze": (INDUCTION, "--out", "frozen"),
    "fit": ("pca", INDUCTION, "--variable", "found", "--out", "found.safetensors"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_directory_is_told_by_every_command(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, [command, *COMMANDS[command], "--stream"])
    assert found.exit_code == 2
    assert "zoo:induction is none: leave --stream out" in found.output


def test_every_command_that_looks_at_weights_streams() -> None:
    """What takes a model takes the option, but for those that draw, or write a file to start from."""
    context = click.Context(main)
    options = {n: {p.name for p in main.get_command(context, n).params} for n in main.list_commands(context)}  # type: ignore
    assert {name for name, known in options.items() if "stream" in known} == set(COMMANDS)
    assert {name for name, known in options.items() if "model" in known} - set(COMMANDS) == {"show", "new"}


def test_without_a_claim_a_model_is_streamed_too(folder: str) -> None:
    setting = {"data": copying().data, "metric": "logit_diff(a, b)", "rows": 4}
    there, streamed = (scrub.run_circuit("1.0", model=folder, stream=stream, **setting) for stream in (False, True))
    assert close(told(there.to_dict()), told(streamed.to_dict()))
    with pytest.raises(ScrubError, match="lacking: model"):
        scrub.run_circuit("1.0", stream=True, **setting)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each part of a layer was taken from the files."""
    found, take = Counter[int](), Later.__call__

    def counted(part: Later[Any]) -> Any:
        found[id(part)] += part not in part.lending.held
        return take(part)

    monkeypatch.setattr(Later, "__call__", counted)
    return found


def bench(folder: str, memory: int | None = None) -> CircuitBench:
    hypothesis = copying().but(through=None)
    claim, source = sound(hypothesis, Streamed(folder))
    experiment = experiment_of(claim, np.arange(24), hypothesis.criteria, None)
    model = open_weights(source, Backend(memory=memory))
    return CircuitBench.of(experiment, model, everywhere(folder)[-1])


def everywhere(folder: str) -> list[Circuit]:
    """40 circuits of heads at every position, and one of all of them."""
    graph, rng = find(folder).graph, np.random.default_rng(0)
    names = [f"{layer}.{head}" for layer in range(4) for head in range(4)]
    some = [Circuit.parse(list(rng.choice(names, 4, replace=False)), graph) for _ in range(40)]
    return [*some, Circuit.parse(names, graph)]


@pytest.mark.parametrize("at", ["", " @ END"])
def test_circuits_take_each_layer_once_for_all_of_them(
    at: str, folder: str, reads: Counter[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On each block of rows, whatever number of them run together: pieces wait for one another at every layer."""
    monkeypatch.setattr(CircuitSizes, "circuits_at_once", lambda *given: 3)
    monkeypatch.setattr(CircuitSizes, "alike_at_once", lambda *given: 3)
    circuits = everywhere(folder)
    if at:
        graph = find(folder).graph
        circuits = [Circuit.parse([f"{node}{at}" for node in c.nodes], graph) for c in circuits]
    runner = evolve(bench(folder), slots=tuple(sorted({n.at for n in circuits[0].nodes} - {None}))).runner
    for number in range(len(runner.slices())):
        runner.block(number)
    taken = list[int]()
    for some in (circuits[:4], circuits):
        reads.clear()
        runner.components(some)
        taken.append(max(reads.values()))
    assert taken[0] == taken[1] <= 2 * len(runner.slices())  # with the run of the circuit without parts


def test_a_bound_cuts_circuits_into_the_pieces_that_are_planned(folder: str, reads: Counter[int]) -> None:
    """And no further: each piece that does not fit beside the others takes the layers once more."""
    made = bench(folder, memory=2_000_000)
    circuits, sizes, runner = everywhere(folder), made.runner.sizes, made.runner
    shapes = [runner.block(number).shape for number in range(len(runner.slices()))]
    reads.clear()
    runner.components(circuits)
    passes = [-(-len(circuits) // at_once) for shape in shapes for at_once in [sizes.circuits_at_once(*shape)]]
    waits = [sizes.in_step(*shape, sizes.circuits_at_once(*shape)) for shape in shapes]
    assert max(passes) > 1
    assert max(reads.values()) <= sum(-(-count // most) for count, most in zip(passes, waits, strict=True))


class Saved:
    """What a graph holds for a backward pass."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


@pytest.mark.parametrize("verb", ["propose", "fit"])
def test_graphs_for_gradients_hold_no_layers(verb: str, folder: str) -> None:
    """A backward pass takes them from the files again: the matrices that are held for it are those of one at most."""
    alive, most = WeakSet[Saved](), [0]

    def packed(tensor: torch.Tensor) -> Saved:
        saved = Saved(tensor)
        if tensor.ndim > 1 and {*tensor.shape} <= {4, 8, 16, 24}:  # widths of heads, streams and neurons
            alive.add(saved)
            most[0] = max(most[0], len(alive))
        return saved

    with torch.autograd.graph.saved_tensors_hooks(packed, lambda saved: saved.tensor):
        run(verb, model=folder, stream=True)
    assert most[0] <= 3
    with torch.autograd.graph.saved_tensors_hooks(packed, lambda saved: saved.tensor):
        run(verb, model=folder)
    assert most[0] > 6


def test_calls_go_together_as_the_memory_allows(folder: str, reads: Counter[int]) -> None:
    """Of a model in memory no more than caches hold: 96 swaps of a variable would be three passes in place of one."""
    taken = list[int]()
    for draws in (1, 8):
        scrub.interchange(copying(), folder, rows=12, draws=draws, stream=True)
        reads.clear()
        scrub.interchange(copying(), folder, rows=12, draws=draws, stream=True)
        taken.append(max(reads.values()))
    assert taken[0] == taken[1]
