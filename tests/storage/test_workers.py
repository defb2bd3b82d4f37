"""Workers give the numbers of one process, whoever is killed; parts of one run are put together."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import scrub
from cli_cases import HEAD
from cli_cases import scrub as command
from scrub.circuit import sizes
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import experiment_of
from scrub.circuit.paths import parse_path
from scrub.claims.protocol import Protocol
from scrub.engine import passes
from scrub.errors import ClaimError
from scrub.model import cluster, workers
from scrub.model.resolve import sound
from scrub.model.workers import ALONE, Alone, Copies, Task
from scrub.score import sample
from scrub.score.blocks import NumberBlock, gathered
from scrub.storage.blocks import Blocks
from scrub.storage.identity import versions
from scrub.storage.rows import RowFiles
from scrub.verbs.setup import bench_of, references, working
from storage.test_rows import Counting, induction, passed, some_rows, weights

fixture = passed  # used by name
OWN = passes.trace
TWO = Copies(2, 0.0)  # started for the quickest pass


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that verbs make are, too."""
    monkeypatch.setattr(workers, "START", 0.0)


def own_number(held: list[int], number: int, folder: Path | None = None) -> dict[str, np.ndarray]:
    """A number of what is held; with a folder it kills its worker the first time that 3 is asked for."""
    if folder is not None and number == 3 and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"n": np.array([held[number], os.getpid() != PARENT])}


def always(held: None, number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refusing(held: None, number: int) -> None:
    raise ClaimError(f"{number} is refused.")


PARENT = os.getpid()


def tasks(held: Any, run: Callable[..., Any], *more: Any) -> Iterator[Task]:
    return (Task(held, run, (number, *more)) for number in range(8))


def test_a_killed_worker_loses_its_task_and_no_number(tmp_path: Path) -> None:
    held = [number * number for number in range(8)]
    blocks = [NumberBlock(lambda n=n: f"{n:x}", task) for n, task in enumerate(tasks(held, own_number, tmp_path))]
    kept = Blocks(tmp_path, "claim", workers=TWO)
    found = gathered(kept, blocks)["n"].reshape(8, 2)
    assert found[:, 0].tolist() == held
    assert found[:, 1].all()  # none of them by this process
    assert (tmp_path / "killed").exists()
    assert (kept.computed, len(list(tmp_path.glob("*.safetensors"))), list(tmp_path.glob("*.begun"))) == (8, 8, [])
    with pytest.raises(ClaimError, match=r"killed 3 times running .* fewer than --workers 2"):
        list(TWO.each(tasks(None, always)))
    with pytest.raises(ClaimError, match="0 is refused"):
        list(TWO.each(tasks(None, refusing)))


def test_rows_and_blocks_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: Counting
) -> None:
    monkeypatch.setattr(sample, "CALLS_AT_ONCE", 16)
    claim, source = sound(induction())

    def numbers(by: Alone | Copies, folder: Path) -> sample.Samples:
        model = attrs.evolve(weights(), workers=by, passes=RowFiles(folder))
        bench = bench_of(claim, source, model, None, by)
        return sample.sample(bench, references(claim, None, 0), 3, 0)

    one = numbers(ALONE, tmp_path / "one")
    passed.rows = 0
    two = numbers(TWO, tmp_path / "two")
    assert passed.rows == 0  # the workers have run them
    for name in ("scrubbed", "random", "model"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    one_s, two_s = ({f.name: f for f in (tmp_path / n).rglob("*.safetensors")} for n in ("one", "two"))
    assert one_s.keys() == two_s.keys() != set()
    for name, file in one_s.items():
        arrays, others = load_file(file), load_file(two_s[name])
        assert arrays.keys() == others.keys()  # what has two names is kept once
        assert all(arrays[array].equal(others[array]) for array in arrays)


def longer() -> scrub.Hypothesis:
    """The claim on more rows, among which every row has another of its length."""
    return induction().but(data=lambda: some_rows(0, 200))


VERBS: dict[str, Callable[..., Any]] = {
    "interchange": lambda **by: scrub.interchange(induction(), weights(), draws=2, **by),
    "propose": lambda **by: scrub.propose(longer(), model=weights(), rows=6, nodes="heads", verify=8, draws=4, **by),
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_say_the_same_by_workers(verb: str) -> None:
    one, two = (json.dumps(VERBS[verb](workers=n).to_dict(), sort_keys=True, default=str) for n in (1, 2))
    assert one == two


def test_circuits_score_the_same_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "ROWS", 8)
    monkeypatch.setattr(sizes, "BLOCK", 64)
    claim, source = sound(induction())
    experiment = experiment_of(claim, np.arange(24), Protocol(), source.tokenizer)
    circuits = {"components": "0.3 1.1", "edges": "0.3 -> 1.1.k, 1.1 -> logits, embed -> 1.1.v"}

    def scores(by: Alone | Copies) -> dict[str, np.ndarray]:
        model, heard = attrs.evolve(weights(), workers=by), list[int]()
        found = {}
        for kind, names in circuits.items():
            circuit = Circuit.parse(names)
            bench = attrs.evolve(CircuitBench.of(experiment, model, circuit), done=heard.append)
            found[kind] = bench.scores([circuit, circuit], without=True)
            found["paths"] = bench.path_scores(
                [parse_path("0.3 -> logits", claim.graph), parse_path("0.2 -> logits", claim.graph)]
            )
        return found | {"heard": np.array(sum(heard))}

    one, two = scores(ALONE), scores(TWO)
    assert {name: found.tobytes() for name, found in one.items()} == {n: found.tobytes() for n, found in two.items()}


def run(*words: object, code: int = 0) -> str:
    found = command(*map(str, words))
    assert found.exit_code == code, found.output
    return found.output


def test_parts_together_are_the_run_and_others_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "CALLS_AT_ONCE", 64)
    claims = tmp_path / "claims.py"
    claims.write_text(f"{HEAD}\none = make()\ntwo = make(places, metric=Metric(right))\n")
    one, asked = f"{claims}::one", ("--draws", 4, "--json", tmp_path / "found.json")

    def result() -> dict[str, Any]:
        return json.loads((tmp_path / "found.json").read_text())["results"][0]

    run("test", one, *asked)
    whole = result()
    for number in (1, 2):
        memory = ("--memory", f"{number}GB")  # each machine has its own
        said = run("test", one, *asked, *memory, "--out", tmp_path / str(number), "--part", f"{number}/2")
        assert "are those of other parts" in said
        assert "supported" not in said
    said = run("merge", tmp_path / "1", tmp_path / "2", "--out", tmp_path / "all")
    assert "go on with `scrub test claims.py::one --draws 4 --memory 1GB --out" in said
    run("test", one, *asked, "--out", tmp_path / "all")
    assert {name: part for name, part in result().items() if name != "since"} == {
        name: part for name, part in whole.items() if name != "since"
    }
    assert "not among them: parts 2/2" in run("merge", tmp_path / "1", "--out", tmp_path / "half")

    run("test", one, "--draws", 5, "--out", tmp_path / "draws", "--part", "2/2")
    run("test", f"{claims}::two", "--draws", 4, "--out", tmp_path / "claim", "--part", "2/2")
    run("test", one, "--draws", 4, "--out", tmp_path / "thirds", "--part", "2/3")
    for other, words in (("draws", "`scrub test claims.py::one --draws 5`"), ("claim", "claims.py::two"),
                         ("thirds", "one of 3 parts")):  # fmt: skip
        said = run("merge", tmp_path / "1", tmp_path / other, "--out", tmp_path / "none", code=2)
        assert "holds no part of the run" in said
        assert words in said
    for wrong in ("3/2", "0/2", "half"):
        assert "write which of how many" in run("test", one, "--part", wrong, "--out", tmp_path / "wrong", code=2)
    assert "say where, --out DIR" in run("test", one, "--part", "1/2", code=2)
    assert "holds no part of a run" in run("merge", tmp_path, "--out", tmp_path / "none", code=2)


class NoAnswer(Exception):
    """What Ray raises of a worker that was lost for good."""


class Pretended(ModuleType):
    """Ray's interface, in this process: what is put and sent is pickled, and tensors go by their serialiser."""

    def __init__(self, lost: int = 0) -> None:
        super().__init__("ray")
        self.lost, self.running = lost, False
        self.__file__ = __file__
        self.cloudpickle = SimpleNamespace(
            dumps=pickle.dumps, loads=pickle.loads, register_pickle_by_value=lambda module: None
        )
        self.util = SimpleNamespace(register_serializer=lambda *_, **__: None)
        self.exceptions = SimpleNamespace(RayTaskError=ZeroDivisionError, RayError=NoAnswer)

    def is_initialized(self) -> bool:
        return self.running

    def init(self, **where: Any) -> None:
        self.running = True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 3.0}

    def put(self, value: Any) -> Any:
        return SimpleNamespace(hex=lambda: str(id(value)), sent=pickle.dumps(value))

    def get(self, ref: Any) -> Any:
        if self.lost and not hasattr(ref, "sent"):
            raise NoAnswer
        return pickle.loads(ref.sent) if hasattr(ref, "sent") else ref()

    def remote(self, **how: Any) -> Any:
        return lambda run: SimpleNamespace(remote=lambda *given: lambda: run(*given))

    def cancel(self, ref: Any) -> None: ...


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    ray = Pretended()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(cluster, "work_on", lambda held: None)  # this process goes on as it was
    return ray


def test_a_cluster_computes_the_same_and_says_what_is_wrong_with_it(
    pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = cluster.connected("local", 1, versions)
    assert found.number == 3
    assert [one["n"][0] for one in found.each(tasks([*range(10, 18)], own_number))] == [*range(10, 18)]
    with pytest.raises(ClaimError, match="0 is refused"):
        list(found.each(tasks(None, refusing)))
    told = iter([versions(), *[versions() | {"torch": "1.0"}] * 2])
    with pytest.raises(ClaimError, match=r"a worker of the cluster has .*torch .* \(here .*Install the same"):
        cluster.connected("local", 1, lambda: next(told))
    pretended.lost = 1
    with pytest.raises(ClaimError, match="the cluster lost a task 4 times"):
        cluster.connected("local", 1, versions)
    pretended.running = False
    with pytest.raises(ClaimError, match=r"no cluster answers there .*ray start --head"):
        working(1, "127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClaimError, match=r"pip install 'causal-scrub\[ray\]'"):
        working(1, "local")


@pytest.mark.parametrize("number", [0, -1, True, "2"])
def test_a_number_of_workers_is_one(number: Any) -> None:
    with pytest.raises(ClaimError, match="write how many processes compute"):
        working(number)


def test_far_more_workers_than_cpus_are_a_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert working(64) is not None
    with pytest.raises(ClaimError, match=r"--workers 65: .* has 2 cpus: as many workers as cpus .* 64 at most"):
        working(65)


def test_what_workers_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClaimError, match="what lies on meta cannot be copied"):
        TWO.on(torch.device("meta"), 0)
    with pytest.raises(ClaimError, match="tasks are sent to cpus"):
        cluster.Cluster("local", 2, versions).on(torch.device("meta"), 0)
    monkeypatch.setattr(workers.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(ClaimError, match="this system cannot copy a process"):
        working(2)


KEPT: dict[str, Callable[..., Any]] = {
    "criteria": lambda **by: scrub.criteria(induction(), weights(), random=1, budget=1, tests=False, **by),
    "propose": lambda **by: scrub.propose(
        longer(), model=weights(), method="exact", rows=6, nodes="heads", verify=8, draws=4, **by
    ),
}


def test_circuits_and_proposals_read_rows_that_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def counting(model: Any, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        ran.append(len(tokens))
        return OWN(model, tokens, *rest)

    monkeypatch.setattr(passes, "trace", counting)

    def asked(verb: str, **where: Any) -> str:
        ran.clear()
        return json.dumps(KEPT[verb](**where).to_dict(), sort_keys=True, default=str)

    for verb in KEPT:
        plain = asked(verb)
        assert sum(ran) > 1
        assert asked(verb, cache=tmp_path) == plain
        assert asked(verb, cache=tmp_path) == plain
        assert sum(ran) <= 1  # the one token of which its arrays are known
