"""Runs that are kept: resumed after a kill, shared by processes, told apart, and compared with the last one."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scrub
from cli_cases import HEAD
from cli_cases import scrub as command
from scrub.claims.collect import collect
from scrub.errors import ClaimError
from scrub.score import sample
from scrub.storage.directory import CODE, open_run, short

CLAIM = (
    HEAD
    + """
one = make()
two = make(lambda: dict(half=nodes("g"), b=nodes("b"), answer=nodes("out").reads(g="half", b="b")))
"""
)
# the same claim, its model slow enough for a run to be broken off, or shared, in many small blocks
DRIVER = """
import json, sys, time
from scrub.score import sample
from scrub.claims.collect import collect
import scrub
sample.CALLS_AT_ONCE = 8
measured = sample.ClaimBench.scrubbed
def slow(self, calls, drawn):
    time.sleep(0.015)
    return measured(self, calls, drawn)
sample.ClaimBench.scrubbed = slow
from pathlib import Path
from scrub.storage.directory import open_run
file, out, gate = sys.argv[1:]
run = open_run(out, [f"{file}::one"])
Path(gate).touch()  # ready, all imports done
while not Path(gate).with_suffix(".go").exists():
    time.sleep(0.005)
result = scrub.test(collect([f"{file}::one"]).hypotheses[0], out=run)
run.finish()
found, computed = (sum(getattr(blocks, name) for blocks in run.blocks) for name in ("found", "computed"))
print(json.dumps({"result": result.to_dict(), "found": found, "computed": computed}))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.py"
    path.write_text(CLAIM)
    return path


def started(file: Path, out: Path, name: str = "a") -> subprocess.Popen[str]:
    (file.parent / "driver.py").write_text(DRIVER)
    return subprocess.Popen(
        [sys.executable, str(file.parent / "driver.py"), str(file), str(out), str(gate(file, out, name))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def gate(file: Path, out: Path, name: str = "a") -> Path:
    return file.parent / f"{out.name}-{name}.ready"


def let_go(file: Path, out: Path, *names: str) -> None:
    """Let processes begin once all of them are ready."""
    late = time.monotonic() + 120
    for name in names:
        while not gate(file, out, name).exists():
            assert time.monotonic() < late, f"{name} never became ready"
            time.sleep(0.005)
    for name in names:
        gate(file, out, name).with_suffix(".go").touch()


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return json.loads(out)


@pytest.fixture
def in_blocks_of_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "CALLS_AT_ONCE", 8)


def here(file: Path, out: Path) -> dict[str, Any]:
    """What the driver does and says, in this process and not slowed down."""
    run = open_run(out, [f"{file}::one"])
    result = scrub.test(claims(file)[0], out=run)
    run.finish()
    found, computed = (sum(getattr(blocks, name) for blocks in run.blocks) for name in ("found", "computed"))
    return {"result": result.to_dict(), "found": found, "computed": computed}


def claims(file: Path) -> list[scrub.Hypothesis]:
    return list(collect([str(file)]).hypotheses)


@pytest.mark.usefixtures("in_blocks_of_8")
def test_a_killed_run_resumed_equals_one_that_was_not_broken_off(file: Path, tmp_path: Path) -> None:
    process = started(file, tmp_path / "killed")
    let_go(file, tmp_path / "killed", "a")
    while len(list((tmp_path / "killed" / "blocks").glob("*.safetensors"))) < 5:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = len(list((tmp_path / "killed" / "blocks").glob("*.safetensors")))
    resumed, whole = (here(file, tmp_path / out) for out in ("killed", "whole"))
    assert resumed["found"] == kept >= 5
    assert resumed["result"] == whole["result"]
    assert resumed["computed"] + kept == whole["computed"]


@pytest.mark.usefixtures("in_blocks_of_8")
def test_two_processes_share_the_blocks_of_one_run(file: Path, tmp_path: Path) -> None:
    both = [started(file, tmp_path / "both", name) for name in "ab"]
    let_go(file, tmp_path / "both", *"ab")
    found = [finished(process) for process in both]
    alone = here(file, tmp_path / "alone")
    assert found[0]["result"]["recovered"] == found[1]["result"]["recovered"] == alone["result"]["recovered"]
    computed = [one["computed"] for one in found]
    assert min(computed) > 0.15 * alone["computed"]  # both worked
    assert sum(computed) <= alone["computed"] + 8  # and hardly ever on the same block


def test_a_run_again_computes_nothing_and_says_that_nothing_changed(file: Path, tmp_path: Path) -> None:
    one = claims(file)[0]
    first = scrub.test(one, out=tmp_path / "run")
    assert first.since is None
    run = open_run(tmp_path / "run", [str(first.hypothesis)])
    again = scrub.test(one, out=run)
    assert sum(blocks.computed for blocks in run.blocks) == 0
    assert again.since is not None
    assert again.since.same
    assert again.since.facts == ()
    assert again.recovered == first.recovered == scrub.test(one).recovered


def test_what_changed_is_paired_on_the_rows_of_both(file: Path, tmp_path: Path) -> None:
    one = claims(file)[0]
    first = scrub.test(one, rows=40, out=tmp_path / "run")
    file.write_text(CLAIM.replace("one = make()", "one = make(lambda: two.correspondence())"))
    again = scrub.test(claims(file)[0], rows=42, draws=10, out=tmp_path / "run")
    since = again.since
    assert since is not None
    assert not since.same
    assert (since.verdict, since.recovered, since.rows) == ("supported", first.recovered.value, 40)
    assert "rows 40 -> 42" in since.facts
    assert "draws 20 -> 10" in since.facts
    assert any(fact.startswith("- site of half: h") for fact in since.facts)
    assert any(fact.startswith("+ site of half: g") for fact in since.facts)
    # the difference by hand: ratios of means on the rows of both
    then, now = (r.frame().set_index("row") for r in (first, again))
    shared = then.index.intersection(now.index)
    ratios = [
        (f.random.mean() - f.scrubbed.mean()) / (f.random.mean() - f.model.mean())
        for f in (now.loc[shared], then.loc[shared])
    ]
    assert since.difference.value == pytest.approx(ratios[0] - ratios[1], abs=1e-12)
    assert since.difference.high is not None
    assert since.difference.high < 0
    assert "since its last run (supported" in str(again)


def test_changed_code_of_the_model_is_never_mistaken_for_the_old(file: Path, tmp_path: Path) -> None:
    first = scrub.test(claims(file)[0], out=tmp_path / "run")
    file.write_text(
        CLAIM.replace('"out", function=lambda h, g, b: h + b', '"out", function=lambda h, g, b: h + g + b')
    )
    again = scrub.test(claims(file)[0], out=tmp_path / "run")
    assert again.recovered == scrub.test(claims(file)[0]).recovered != first.recovered
    assert again.since is not None
    assert not again.since.same
    assert [fact.split()[0] for fact in again.since.facts] == ["revision"]
    file.write_text(CLAIM.replace("-abs(output - row", "-abs(1.5 * output - row"))
    metric = scrub.test(claims(file)[0], out=tmp_path / "run")
    assert metric.recovered == scrub.test(claims(file)[0]).recovered


def test_blocks_of_exact_runs_are_kept_too(file: Path, tmp_path: Path) -> None:
    one = claims(file)[0]
    first = scrub.test(one, exact=True, out=tmp_path / "run")
    run = open_run(tmp_path / "run", [first.hypothesis])
    again = scrub.test(one, exact=True, out=run)
    assert sum(blocks.computed for blocks in run.blocks) == 0
    assert np.array_equal(first.table["scrubbed"], again.table["scrubbed"])


def test_a_directory_of_another_claim_or_version_is_refused(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert command("test", f"{file}::one", "--out", out).exit_code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    other = command("test", f"{file}::two", "--out", out)
    assert other.exit_code == 2
    assert "run of another claim: it holds file.py::one, and this run is of file.py::two" in other.output
    kept = json.loads((out / "kept.json").read_text())
    (out / "kept.json").write_text(json.dumps(kept | {"scrub": "0.0.9"}))
    older = command("test", f"{file}::one", "--out", out)
    assert older.exit_code == 2
    assert f"kept by scrub 0.0.9 (format 1), and this is {scrub.__version__}" in older.output
    (out / "kept.json").write_text("{")
    assert "kept.json is damaged" in command("test", f"{file}::one", "--out", out).output
    (out / "kept.json").unlink()
    assert "not kept by this version" in command("test", f"{file}::one", "--out", out).output
    assert all(path.read_bytes() == content for path, content in before.items() if path.name != "kept.json")


def test_more_claims_may_join_a_directory_and_none_is_lost(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command("test", f"{file}::one", "--out", out)
    both = command("test", file, "--out", out)
    assert "since its last run nothing changed" in both.output
    assert [r["hypothesis"].split("::")[1] for r in json.loads((out / "run.json").read_text())["results"]] == [
        "one",
        "two",
    ]
    assert command("test", f"{file}::one", "--out", out).exit_code == 2


def test_a_changed_cell_of_a_notebook_is_the_same_claim() -> None:
    before, after = "/tmp/ipykernel_12/334.py::one", "/tmp/ipykernel_12/997.py::one"
    assert short(before) == short(after) == "one"
    assert short("a/b.py::one[x=False]") == "b.py::one[x=False]"


def test_names_that_collide_are_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.py").write_text(CLAIM)
    found = command("test", f"{file}::one", f"{tmp_path}/sub/file.py::one", "--out", tmp_path / "run")
    assert found.exit_code == 2
    assert "several claims are called file.py::one" in found.output


def test_a_damaged_block_is_named_and_recomputed_when_asked(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    whole = command("test", f"{file}::one", "--out", out, "--json", tmp_path / "a.json")
    assert whole.exit_code == 0
    block = sorted((out / "blocks").iterdir())[0]
    block.write_bytes(block.read_bytes()[:-8])
    found = command("test", f"{file}::one", "--out", out)
    assert found.exit_code == 2
    assert block.name in found.output
    assert "--recompute" in found.output
    mended = command("test", f"{file}::one", "--out", out, "--recompute", "--json", tmp_path / "b.json")
    assert mended.exit_code == 0
    assert "1 blocks computed" in mended.output
    first, second = (json.loads((tmp_path / f"{name}.json").read_text())["results"][0] for name in "ab")
    assert first | {"since": None} == second | {"since": None}


def test_a_block_in_another_ones_place_is_damaged(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert command("test", f"{file}::one", "--out", out).exit_code == 0
    first, second = sorted((out / "blocks").iterdir())[:2]
    first.write_bytes(second.read_bytes())
    found = command("test", f"{file}::one", "--out", out)
    assert found.exit_code == 2
    assert f"{first.name} is damaged: it holds another block." in found.output
    assert command("test", f"{file}::one", "--out", out, "--recompute").exit_code == 0


def test_what_a_killed_process_left_is_taken_away(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert command("test", f"{file}::one", "--out", out).exit_code == 0
    old, fresh = out / "blocks" / ".a.safetensors.1", out / "blocks" / ".b.safetensors.2"
    for left in (old, fresh):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    again = command("test", f"{file}::one", "--out", out)
    assert "0 blocks computed, " in again.output
    assert (old.exists(), fresh.exists()) == (False, True)


def test_the_same_numbers_by_other_code_are_said_to_be_so(file: Path, tmp_path: Path) -> None:
    scrub.test(claims(file)[0], out=tmp_path / "run")
    file.write_text(CLAIM.replace("function=lambda a: a % 2)", "function=lambda a: (a + 2) % 2)"))
    since = scrub.test(claims(file)[0], out=tmp_path / "run").since
    assert since is not None
    assert since.same
    assert since.facts == (CODE,)


def test_recompute_without_a_directory_is_refused(file: Path) -> None:
    assert "--recompute is about a run that is kept" in command("test", f"{file}::one", "--recompute").output


def test_a_full_disk_ends_with_a_sentence_and_the_same_command_goes_on(file: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that fills: the first block does not fit."""
    out = tmp_path / "run"

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))

    told = subprocess.run(
        [sys.executable, "-m", "scrub", "test", f"{file}::one", "--out", str(out)],
        capture_output=True, text=True, preexec_fn=limited, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    assert "cannot be written: File too large" in told.stderr
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]
    assert not (out / "run.json").exists()
    assert command("test", f"{file}::one", "--out", out).exit_code == 0


@pytest.mark.parametrize("where", ["a file", "read-only"])
def test_a_directory_that_cannot_be_written_is_said_before_the_run(file: Path, tmp_path: Path, where: str) -> None:
    out = tmp_path / "run"
    if where == "a file":
        out.write_text("mine")
    else:
        out = next((path for path in (Path("/sys"), Path("/proc")) if path.exists()), tmp_path) / "scrub-run"
        if not Path("/sys").exists():
            pytest.skip("no directory here is read-only for whoever runs the tests")
    found = command("test", f"{file}::one", "--out", out)
    assert found.exit_code == 2
    assert "cannot be written" in found.output
    assert "recovered" not in found.output


def test_interrupted_says_that_nothing_is_lost(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample.ClaimBench, "model_scores", interrupt)
    found = command("test", f"{file}::one", "--out", tmp_path / "run")
    assert found.exit_code == 130
    assert "the same command goes on from there" in found.output


def test_a_kept_directory_is_damaged_where_its_last_run_is(file: Path, tmp_path: Path) -> None:
    one = claims(file)[0]
    scrub.test(one, out=tmp_path / "run")
    record = next((tmp_path / "run" / "claims").iterdir())
    record.write_bytes(record.read_bytes()[:-1])
    with pytest.raises(ClaimError, match=rf"{record.name} is damaged.*--recompute"):
        scrub.test(one, out=tmp_path / "run")
    assert scrub.test(one, out=tmp_path / "run", recompute=True).since is None


def test_words_with_other_ids_are_not_taken_from_a_run(tmp_path: Path) -> None:
    """The claim is the same to the letter; what its metric measures is not."""
    of_gallery = collect(["hypotheses/induction.py::induction"]).hypotheses[0]
    rows = of_gallery.data().rows[:40]
    words = [f"w{number}" for number in range(101)]
    a, b = rows[0].columns["b"], rows[1].columns["b"]
    other = [words[{a: b, b: a}.get(number, number)] for number in range(101)]

    def tested(vocab: list[str], **options: Any) -> Any:
        made = [
            {"tokens": list(row.tokens), "positions": dict(row.positions),
             "columns": {**row.columns, "said": f"w{row.columns['b']}"}} for row in rows
        ]  # fmt: skip
        claim = of_gallery.but(data=scrub.Dataset.from_rows(made, vocab=vocab), metric="loss(said)")
        return scrub.test(claim, draws=2, parts="none", controls="none", explain=False, **options)

    first, fresh = tested(words, out=tmp_path / "run"), tested(other)
    again = tested(other, out=tmp_path / "run")
    assert again.digest == first.digest
    assert again.recovered == fresh.recovered != first.recovered
    assert again.since.facts == (CODE,)
