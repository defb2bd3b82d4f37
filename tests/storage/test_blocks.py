"""Blocks are found again, named when they are damaged, and shared by whoever works on a directory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from score.cases import claim_of, graph, rows_of
from scrub import Hypothesis, nodes
from scrub.engine.draw import Calls, Draws
from scrub.errors import ClaimError
from scrub.model.resolve import sound
from scrub.model.workers import Task
from scrub.score.blocks import Arrays, CallPiece, NumberBlock, gathered, in_one_go, keep_nothing, key
from scrub.storage import files
from scrub.storage.blocks import Blocks, read_arrays, write_arrays
from scrub.storage.share import JobPart, PartKept
from scrub.verbs.setup import bench_of

COUNT = 5


def blocks(computed: list[int] | None = None) -> Iterator[NumberBlock]:
    for number in range(COUNT):

        def compute(_: None, n: int) -> Arrays:
            if computed is not None:
                computed.append(n)
            return {"scrubbed": np.array([n, n + 0.5]), "random": np.full(2, -n)}

        yield NumberBlock(partial(key, "test", np.array([number])), Task(None, compute, (number,)))


def test_blocks_are_joined_in_their_order_whoever_computes_them(tmp_path: Path) -> None:
    wanted = gathered(keep_nothing, blocks())
    assert wanted["scrubbed"].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5]
    other = Blocks(tmp_path, "claim")
    first = next(iter(other(blocks())))  # one block computed, by whoever was there before
    assert first[0] == 0
    heard: list[int] = []
    ours = Blocks(tmp_path, "claim")
    found = gathered(ours, blocks(), heard.append)
    assert {name: array.tolist() for name, array in found.items()} == {n: a.tolist() for n, a in wanted.items()}
    assert (ours.found, ours.computed, sum(heard)) == (1, COUNT - 1, 2 * COUNT)
    assert not list(tmp_path.glob("*.begun"))
    assert not list(tmp_path.glob(".*"))


def in_threes(runs: list[list[int]]) -> Iterator[NumberBlock]:
    """Seven blocks of two calls, of which three are computed in one go; `runs` hears of the calls."""

    def compute(_: None, piece: CallPiece) -> Arrays:
        runs.append(piece.calls.draw.tolist())
        return {"scrubbed": piece.calls.draw + len(piece.calls) / 100}  # as rounding does: other company, other bits

    pieces = (CallPiece(Calls(np.zeros(2, dtype=np.int64), np.arange(2 * n, 2 * n + 2)), {}) for n in range(7))
    made = [NumberBlock(partial(key, "test", one.calls.draw), Task(None, compute, (one,)), True) for one in pieces]
    return in_one_go(made, 3)


def test_blocks_in_one_go_are_those_of_one_process_or_part_and_each_has_its_company(tmp_path: Path) -> None:
    wanted = gathered(keep_nothing, in_threes([]))["scrubbed"].tolist()
    ours, others = list[list[int]](), list[list[int]]()
    broken_off = Blocks(tmp_path, "claim")(in_threes([]))
    assert [next(broken_off)[0], next(broken_off)[0]] == [0, 1]
    broken_off.close()
    assert not list(tmp_path.glob("*.begun"))
    one = Blocks(tmp_path, "claim")(in_threes(ours))
    assert [next(one)[0] for _ in range(3)] == [0, 1, 2]
    assert next(one)[0] == 3  # it has begun the second go
    assert gathered(Blocks(tmp_path, "claim"), in_threes(others))["scrubbed"].tolist() == wanted
    assert (ours, others) == ([[*range(6)], [*range(6, 12)]], [[12, 13], [*range(6, 12)]])
    one.close()
    for number, calls in ((1, [[*range(6)], [12, 13]]), (2, [[*range(6, 12)]])):
        runs = list[list[int]]()
        with pytest.raises(PartKept):
            gathered(Blocks(tmp_path / str(number), "claim", part=JobPart(number, 2)), in_threes(runs))
        assert runs == calls


def test_blocks_of_another_claim_are_not_found(tmp_path: Path) -> None:
    gathered(Blocks(tmp_path, "claim"), blocks())
    other = Blocks(tmp_path, "other claim")
    gathered(other, blocks())
    assert (other.found, other.computed) == (0, COUNT)


def test_a_block_that_another_process_has_begun_comes_last_and_is_not_computed_twice(tmp_path: Path) -> None:
    gathered(Blocks(tmp_path, "claim"), blocks())
    files = {next(blocks_of(tmp_path, n)): n for n in range(COUNT)}
    begun, left = [path for path, n in files.items() if n in (1, 2)]
    stored = {path: path.read_bytes() for path in files}
    for path in (begun, left):
        path.unlink()
        path.with_suffix(".begun").touch()
    computed: list[int] = []
    ours = Blocks(tmp_path, "claim")
    order: list[int] = []
    for number, _ in ours(blocks(computed)):
        order.append(number)
        if number == COUNT - 1:  # the other process is done with one of its two, and was killed
            begun.write_bytes(stored[begun])
    assert order == [0, 3, 4, 1, 2]
    assert computed == [2]
    assert left.exists()
    assert not left.with_suffix(".begun").exists()


def blocks_of(folder: Path, number: int) -> Iterator[Path]:
    for path in folder.glob("*.safetensors"):
        if read_arrays(path)[0]["scrubbed"][0] == number:
            yield path


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "no file of ours"])
def test_a_damaged_block_is_named_and_recomputed_on_request(tmp_path: Path, damage: str) -> None:
    gathered(Blocks(tmp_path, "claim"), blocks())
    path = next(blocks_of(tmp_path, 3))
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    path.write_bytes({"flipped": flipped, "cut": whole[:-3], "empty": b"", "no file of ours": b"x" * 100}[damage])
    with pytest.raises(ClaimError, match=rf"(?s){path.name} is damaged.*--recompute"):
        gathered(Blocks(tmp_path, "claim"), blocks())
    computed: list[int] = []
    gathered(Blocks(tmp_path, "claim", recompute=True), blocks(computed))
    assert computed == [3]
    assert read_arrays(path)[0]["scrubbed"].tolist() == [3, 3.5]


def test_a_full_disk_leaves_what_was_kept_and_no_half_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = files.os.fsync, list[int]()

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(ClaimError, match=r"No space left on device\. What was kept before is whole"):
            gathered(Blocks(tmp_path, "claim"), blocks())
    assert len(list(tmp_path.iterdir())) == 2
    again = Blocks(tmp_path, "claim")
    gathered(again, blocks())
    assert (again.found, again.computed) == (2, COUNT - 2)


def test_arrays_come_back_as_they_were_even_strided_ones(tmp_path: Path) -> None:
    table = np.arange(12.0).reshape(4, 3)
    write_arrays(tmp_path / "a", {"x": table[:, 1], "n": np.array([2**63], dtype=np.uint64)}, {"word": "ü"})
    arrays, words = read_arrays(tmp_path / "a")
    assert arrays["x"].tolist() == table[:, 1].tolist()
    assert arrays["n"].tolist() == [2**63]
    assert words == {"word": "ü"}


def test_a_block_is_named_by_every_row_that_was_drawn() -> None:
    bench = bench_of(*sound(small_claim()), None)
    calls = Calls(np.arange(6), np.zeros(6, dtype=np.int64))
    made = Draws(bench.claim, 0)
    drawn, whole = made.tree(bench.tree, calls), made.baseline(bench.tree, calls)
    names = {bench.alone(calls, drawn).key, bench.beside(calls, drawn, whole).key}
    count = len(names)
    assert count == 2
    for path, rows in drawn.items():
        for changed in (evolve(rows, own=moved(rows.own)), evolve(rows, rest=moved(rows.rest))):
            names |= {bench.alone(calls, drawn | {path: changed}).key}
            count += 1
    names |= {bench.alone(Calls(moved(calls.reference), calls.draw), drawn).key}
    names |= {bench.beside(calls, drawn, moved(whole)).key}
    assert len(names) == count + 2


def moved(rows: np.ndarray) -> np.ndarray:
    """The same rows but for one."""
    found = rows.copy()
    found.flat[3] = (found.flat[3] + 1) % 6
    return found


def small_claim() -> Hypothesis:
    story = {"half": lambda a: a // 2, "answer": lambda half, b: half + b}
    model = graph(half=lambda a: a // 2, out=lambda half, b: half + b)
    data = rows_of({"a": i, "b": i % 4, "label": i // 2 + i % 4} for i in range(6))
    return claim_of(model, story, {"half": "half", "b": "b", "answer": nodes("out").reads(half="half", b="b")}, data)
