"""Rows once, ever: what passes computed is found again by whoever asks for the same, and by nobody else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import scrub
from scrub import Dataset, Hypothesis, heads
from scrub.claims.collect import collect
from scrub.cli.group import main
from scrub.engine import cache as engine
from scrub.engine.needs import Need
from scrub.model import digest
from scrub.model.memory import Backend, Memory
from scrub.model.open import open_weights
from scrub.model.resolve import sound
from scrub.model.weights import Transformer
from scrub.score.sample import sample
from scrub.storage import rows as kept
from scrub.storage.rows import RowFiles, clear_rows, shrink, stored, weights_key
from scrub.verbs.setup import bench_of, references
from scrub.zoo import induction_rows

FILE = f"{Path(__file__).parents[2] / 'hypotheses' / 'induction.py'}::induction"


def some_rows(start: int = 0, end: int = 24) -> Dataset:
    return Dataset.from_rows(induction_rows(300, seed=1)[start:end])


def shortest(count: int, of: int) -> Dataset:
    return Dataset.from_rows(sorted(induction_rows(300, seed=1)[:of], key=lambda row: len(row["tokens"]))[:count])


@cache
def induction() -> Hypothesis:
    return collect([FILE]).hypotheses[0].but(data=some_rows)


@cache
def weights() -> Transformer:
    return open_weights(sound(induction())[1], Backend())


class Counting:
    """Rows that were passed through a model."""

    rows = 0

    def __call__(self, model: Transformer, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        self.rows += len(tokens)
        return OWN(model, tokens, *rest)


OWN = engine.trace


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting()
    monkeypatch.setattr(engine, "trace", counting)
    return counting


def scrubbed(claim: Hypothesis, model: Transformer, folder: Path | None = None) -> np.ndarray:
    found, source = sound(claim)
    passes = None if folder is None else RowFiles(folder)
    bench = bench_of(found, source, attrs.evolve(model, passes=passes))
    return sample(bench, references(found, None, 0), 3, 0).scrubbed


RIVALS: dict[str, Callable[[], Hypothesis]] = {
    "the same": induction,
    "other heads": lambda: induction().but(found=heads("1.3", at="END").reads(q="current", k="before", v="b")),
    "through all": lambda: induction().but(through="all"),
}


@pytest.mark.parametrize("rival", RIVALS)
def test_a_second_claim_on_the_same_rows_runs_none(rival: str, passed: Counting, tmp_path: Path) -> None:
    second = RIVALS[rival]()
    wanted = scrubbed(second, weights())
    passed.rows = 0
    scrubbed(induction(), weights(), tmp_path)
    assert passed.rows == 24
    assert np.array_equal(scrubbed(second, weights(), tmp_path), wanted)
    assert passed.rows == 24


def test_only_slices_that_are_new_are_run(passed: Counting, tmp_path: Path) -> None:
    fewer, more = (induction().but(data=lambda n=n: shortest(n, 40)) for n in (32, 40))
    wanted = scrubbed(more, weights())
    passed.rows = 0
    scrubbed(fewer, weights(), tmp_path)
    assert passed.rows == 16 + 16
    assert np.array_equal(scrubbed(more, weights(), tmp_path), wanted)
    assert passed.rows == 16 + 16 + 8


def test_what_was_not_kept_is_run_for_and_kept(
    passed: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not all that a pass computes is small enough, what is asked for is kept, of all heads."""
    monkeypatch.setattr(engine, "EVERYTHING", 0)
    model, data = attrs.evolve(weights(), passes=RowFiles(tmp_path)), some_rows()
    for layers, head, rows in (((0,), 1, 24), ((0,), 2, 24), ((0, 1), 1, 48), ((1,), 3, 48), ((0, 1), 0, 48)):
        need, told = Need(), set[int]()
        for layer in layers:
            need.add(("z", layer), None, [head])
        with torch.no_grad():
            engine.run_pool(model, data, need, lambda _, value, __, told=told: told.add(value.shape[2]), int)
        assert told == {1}
        assert passed.rows == rows


def changed(model: Transformer) -> Transformer:
    table = model.W_E.clone()
    table[0, 0] += 1e-3
    return attrs.evolve(model, W_E=table)


def normed(model: Transformer) -> Transformer:
    return attrs.evolve(model, ln_final=attrs.evolve(model.ln_final, eps=1e-3))


OTHERS: dict[str, Callable[[Transformer], Transformer]] = {
    "a weight": changed,
    "what is fixed about a norm": normed,
    "the dtype": lambda model: model.to(torch.float64),
    "weights that are drawn anew": lambda model: attrs.evolve(model, W_U=model.W_U * 1.5),
}


@pytest.mark.parametrize("other", OTHERS)
def test_rows_of_another_model_are_never_used(other: str, passed: Counting, tmp_path: Path) -> None:
    scrubbed(induction(), weights(), tmp_path)
    model = OTHERS[other](weights())
    assert np.array_equal(scrubbed(induction(), model, tmp_path), scrubbed(induction(), model))
    assert passed.rows == 3 * 24


@pytest.mark.parametrize(("owner", "name", "value"), [(torch, "__version__", "9"), (kept, "of_scrub", str)])
def test_rows_of_another_version_are_never_used(
    owner: Any, name: str, value: Any, passed: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrubbed(induction(), weights(), tmp_path)
    monkeypatch.setattr(owner, name, value)
    monkeypatch.setattr(kept, "_models", {})
    scrubbed(induction(), weights(), tmp_path)
    assert passed.rows == 2 * 24


def test_weights_are_read_once_for_keys_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are called, and in however much memory they run; a number that was written is read."""
    own = [parameter.clone() for parameter in (weights().W_E, weights().W_U)]
    model, read = attrs.evolve(weights(), W_E=own[0], W_U=own[1]), list[int]()
    bytes_of = digest._bytes
    monkeypatch.setattr(digest, "_bytes", lambda tensor: read.append(tensor.numel()) or bytes_of(tensor))
    key = weights_key(model)
    read.clear()
    assert weights_key(attrs.evolve(model, name="other", memory=Memory(1))) == key
    assert not read
    own[1][3, 4] += 1e-6
    assert weights_key(attrs.evolve(model, name="changed")) != key
    assert read == [own[1].numel()]


def test_other_tokens_are_other_rows_and_other_words_are_none(passed: Counting, tmp_path: Path) -> None:
    scrubbed(induction(), weights(), tmp_path)
    rows = induction_rows(300, seed=1)[:24]
    with_words = [{**row, "columns": {**row["columns"], "number": i}} for i, row in enumerate(rows)]
    scrubbed(induction().but(data=lambda: Dataset.from_rows(with_words)), weights(), tmp_path)
    assert passed.rows == 24
    tokens = list(rows[0]["tokens"])
    tokens[1] = next(t for t in range(10) if t not in tokens)
    other = [{**rows[0], "tokens": tokens}, *rows[1:]]
    scrubbed(induction().but(data=lambda: Dataset.from_rows(other)), weights(), tmp_path)
    assert passed.rows == 24 + 16  # its slice


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.safetensors"))


def another_name(content: bytes) -> bytes:
    """One letter of the words is another: which array is the same as another one."""
    found = next(re.finditer(rb'\\":\s*\\"(\w+\.)0\\"', content))
    return content[: found.end() - 3] + b"1" + content[found.end() - 2 :]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:-9] + bytes(9), another_name]
)
def test_what_is_damaged_is_run_again(
    damage: Callable[[bytes], bytes], passed: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ROWS_AT_ONCE", 24)
    wanted = scrubbed(induction(), weights(), tmp_path)
    [file] = files_of(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    for _ in range(2):
        assert np.array_equal(scrubbed(induction(), weights(), tmp_path), wanted)
    assert passed.rows == 2 * 24


def test_a_file_under_the_name_of_other_rows_is_never_used(passed: Counting, tmp_path: Path) -> None:
    wanted = scrubbed(induction(), weights(), tmp_path)
    first, second = files_of(tmp_path)
    first.write_bytes(second.read_bytes())
    passed.rows = 0
    assert np.array_equal(scrubbed(induction(), weights(), tmp_path), wanted)
    assert passed.rows


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_numbers_are_those_without_a_store(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever was kept before, in whatever memory, of whatever rows."""
    folder, model = tmp_path_factory.mktemp("rows"), weights()
    for _ in range(2):
        start = data.draw(st.integers(0, 20))
        claim = data.draw(st.sampled_from([induction(), RIVALS["through all"](), RIVALS["other heads"]()]))
        claim = claim.but(data=lambda start=start: some_rows(start, start + 10))
        bound = attrs.evolve(model, memory=Memory(data.draw(st.integers(60_000, 10**7))))
        np.testing.assert_allclose(scrubbed(claim, bound, folder), scrubbed(claim, model), rtol=1e-4, atol=1e-5)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from storage import test_rows as t
from scrub.engine import cache
cache.ROWS_AT_ONCE = 1
print("begun", flush=True)
while True:
    t.scrubbed(t.induction(), t.weights(), Path(sys.argv[2]))
    t.clear_rows(Path(sys.argv[2]))
"""


def test_a_writer_that_is_killed_leaves_nothing_that_is_half_read(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parents[1]), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        while not list(tmp_path.glob("*/.*")) and not files_of(tmp_path):
            time.sleep(0.002)
        os.kill(writer.pid, signal.SIGKILL)
    found = scrubbed(induction(), weights(), tmp_path)  # some rows read, and the others run in other company
    np.testing.assert_allclose(found, scrubbed(induction(), weights()), rtol=1e-5, atol=1e-5)


def test_arrays_that_the_bound_does_not_hold_lie_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def mapped(name: str, *, shared: bool, size: int, dtype: torch.dtype) -> torch.Tensor:
        made.append(size)
        return FROM_FILE(name, shared=shared, size=size, dtype=dtype)

    monkeypatch.setattr(torch, "from_file", mapped)
    wanted = scrubbed(induction(), weights())
    assert not made
    small = attrs.evolve(weights(), memory=Memory(100_000))
    np.testing.assert_allclose(scrubbed(induction(), small), wanted, rtol=1e-5, atol=1e-5)
    assert made
    monkeypatch.setattr(os, "posix_fallocate", full)  # no place there: in memory all the same
    np.testing.assert_allclose(scrubbed(induction(), small), wanted, rtol=1e-5, atol=1e-5)


def full(*_: int) -> None:
    raise OSError(28, "No space left on device")


FROM_FILE = torch.from_file


def test_a_directory_that_cannot_be_written_is_said_once_and_done_without(passed: Counting, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no directory")
    with pytest.warns(UserWarning, match="rows are not kept for later claims: .* cannot be written") as said:
        found = scrubbed(induction(), weights(), file)
    assert np.array_equal(found, scrubbed(induction(), weights()))
    assert len(said) == 1


def test_what_was_read_longest_ago_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ROWS_AT_ONCE", 8)
    scrubbed(induction(), weights(), tmp_path)
    found = files_of(tmp_path)
    for age, file in enumerate(found):
        os.utime(file, (1000 + age, 1000 + age))
    scrubbed(induction().but(data=lambda: shortest(8, 24)), weights(), tmp_path)
    by_use = sorted(found, key=lambda file: file.stat().st_mtime)
    assert by_use != found  # some were read
    shrink(tmp_path, sum(file.stat().st_size for file in by_use[1:]))
    assert {*files_of(tmp_path)} == {*by_use[1:]}
    small = RowFiles(tmp_path, most=0)
    small.keep(weights(), [(1, 2)], {("z", 0): torch.zeros(1, 2, 4, 4)})
    assert files_of(tmp_path) == []


def test_the_command_line_keeps_lists_and_clears(tmp_path: Path, passed: Counting) -> None:
    def run(*words: object) -> str:
        found = CliRunner().invoke(main, [*map(str, words)], catch_exceptions=False)
        assert found.exit_code in (0, 1, 3), found.output
        return found.output

    asked = (FILE, "--rows", 4, "--draws", 2, "--controls", "none", "--parts", "none", "--no-explain")
    run("test", *asked, "--out", tmp_path / "run")
    run("test", *asked, "--cache", tmp_path / "run" / "rows")
    assert passed.rows == 300
    (one,) = stored(tmp_path / "run" / "rows")
    assert one.rows == 300
    assert all(word in run("cache", tmp_path / "run") for word in (one.model[:12], "300", "MB"))
    assert "taken away" in run("cache", tmp_path / "run", "--clear")
    assert "no rows are kept" in run("cache", tmp_path / "run")
    assert not files_of(tmp_path / "run" / "rows")
    assert scrub.test(induction(), rows=4, draws=2, controls="none", parts="none", cache=tmp_path / "c").rows == 4
    assert files_of(tmp_path / "c")
    clear_rows(tmp_path / "c")
