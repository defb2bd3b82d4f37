"""Finding claims in files and directories; a broken file is shown, never skipped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scrub.claims.collect import collect
from scrub.errors import ClaimError

HEAD = """
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import claim
from scrub.claims.interpretation import Interpretation
from scrub.claims.sites import heads, inside

story = Interpretation()

@story.variable
def answer(io):
    return io

def data():
    raise AssertionError("importing a file must build no data")

"""
CLAIM = """
@claim(story, model="gpt2", data=data, metric="loss(io)")
def ioi(backups=True, k=2):
    raise AssertionError("importing a file must run no claim")

rival = ioi.but(rest="keep").foil("keeps the rest")
_hidden = ioi.but(rest="zero")
"""
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def written(name: str, text: str) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


def names(*targets: str) -> list[str]:
    found = collect(targets)
    assert not found.problems, found.problems
    return [f"{h.file}::{h.title}" for h in found.hypotheses]


def test_a_file_a_name_a_variant(write: Write) -> None:
    write("ioi.py", HEAD + CLAIM)
    assert names("ioi.py") == ["ioi.py::ioi", "ioi.py::rival"]
    assert names("ioi.py::rival") == ["ioi.py::rival"]
    assert names("ioi.py::ioi[backups=False,k=3]", "ioi.py::ioi[]") == [
        "ioi.py::ioi[backups=False,k=3]",
        "ioi.py::ioi",
    ]
    ioi, rival = collect(["ioi.py"]).hypotheses
    lines = Path("ioi.py").read_text().splitlines()
    assert lines[int(str(ioi.line)) - 1].startswith("@claim")
    assert lines[int(str(rival.line)) - 1].startswith("rival = ")
    assert rival.foil_reason == "keeps the rest"


def test_a_directory_in_the_order_of_its_files(write: Write) -> None:
    write("here/b.py", HEAD + CLAIM)
    write("here/deep/a.py", HEAD + CLAIM.replace("rival", "other"))
    write("here/stories.py", "x = 1")
    for left_out in ("_draft.py", ".cache/c.py", "__pycache__/c.py"):
        write(f"here/{left_out}", "raise ValueError")
    assert names("here") == [
        "here/b.py::ioi",
        "here/b.py::rival",
        "here/deep/a.py::ioi",
        "here/deep/a.py::other",
    ]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ioii.py", r"no such file: ioii\.py\. Did you mean 'ioi\.py'"),
        ("nowhere/x.py", "no such file"),
        ("", "names no file: write file.py, a directory or"),
        ("ioi.py::iol", r"ioi\.py has no claim 'iol'\. Did you mean 'ioi'\? It has ioi, rival"),
        ("ioi.py::ioi[backup=False]", "ioi has no variant 'backup'. Did you mean 'backups'"),
        ("ioi.py::ioi[1]", r"the variant \[1\] cannot be read: write"),
        ("ioi.py::ioi[k=]", r"the variant \[k=\] cannot be read"),
        ("ioi.py::ioi[k=open()]", "cannot be read"),
        ("ioi.py::ioi[**{'k': 1}]", "cannot be read"),
        ("ioi.py::ioi[k=1) or f(k=2]", "cannot be read"),
        ("empty", r"the directory empty holds no claims: .* only files that import scrub are run"),
        ("empty/x.py", r"the file empty/x\.py holds no claims"),
        ("empty/x.py::ioi", "holds no claims"),
    ],
)
def test_wrong_targets(write: Write, target: str, message: str) -> None:
    write("ioi.py", HEAD + CLAIM)
    write("empty/x.py", "x = 1")
    with pytest.raises(ClaimError, match=message):
        collect([target])


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = 1\ndef f(:\n", 2, "syntax error: invalid syntax."),
        ("x = dict(a=1, a=2)\n", 1, "syntax error: keyword argument repeated: a."),
        (
            "\nimport nothing_of_that_name\n",
            2,
            "importing the file raised ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        ("def f():\n    return {}['x']\nf()\n", 2, "importing the file raised KeyError: 'x'"),
        ("import sys\nsys.exit(3)\n", 2, "importing the file raised SystemExit: 3"),
        (
            HEAD + "claim(story, model='m', data=data, metrc='kl')\n",
            16,
            "@claim has no argument 'metrc'.  Did you mean metric?  @claim needs metric=",
        ),
    ],
)
def test_a_broken_file_is_a_problem_beside_the_claims_of_others(
    write: Write, text: str, line: int, message: str
) -> None:
    write("here/bad.py", f"{text}import scrub\n")
    write("here/good.py", HEAD + CLAIM)
    found = collect(["here"])
    assert [h.name for h in found.hypotheses] == ["ioi", "rival"]
    (problem,) = found.problems
    assert problem.found.startswith(message)
    assert (problem.file, problem.line) == ("here/bad.py", line)
    assert collect(["here/bad.py::ioi"]).problems == (problem,)


def test_what_is_no_python_file_is_a_problem(write: Write) -> None:
    (problem,) = collect([write("notes.txt", "a")]).problems
    assert problem.found == "notes.txt is no Python file."


def test_a_file_of_a_frozen_claim_names_the_directory(write: Write) -> None:
    found = [write(f"published/{name}", "{}") for name in ("claim.json", "claim.txt")]
    for file, problem in zip(found, collect(found).problems, strict=True):
        assert problem.found == f"{file} is no Python file. The frozen claim is its directory: published."


def test_a_syntax_error_beside_the_claim_is_told_where_it_is(write: Write) -> None:
    write("here/odd_story.py", "\nx = (\n")
    write("here/claims.py", "import odd_story\n")
    (problem,) = collect(["here/claims.py"]).problems
    assert Path(str(problem.file)).name == "odd_story.py"
    assert problem.line == 2


def test_claims_share_a_file_of_stories_beside_them(write: Write) -> None:
    for folder in ("one", "two"):
        write(f"{folder}/stories_beside.py", HEAD + f"rest = {'keep' if folder == 'one' else 'zero'!r}\n")
        write(
            f"{folder}/a.py",
            "from stories_beside import *" + CLAIM.replace('"loss(io)"', '"loss(io)", rest=rest'),
        )
    path = list(sys.path)
    found = collect(["one", "two"]).hypotheses
    assert [h.options.rest for h in found if h.name == "ioi"] == ["keep", "zero"]
    assert sys.path == path


def test_imported_claims_count_where_they_are_written(write: Write) -> None:
    write("base_claims.py", HEAD + CLAIM)
    write(
        "rivals.py",
        "from base_claims import ioi, rival as old\nnew = ioi.but(rest='zero')\nsmall = ioi(backups=False)\n",
    )
    assert names("rivals.py") == ["rivals.py::new", "rivals.py::small[backups=False]"]
    assert names("rivals.py::ioi") == ["rivals.py::ioi"]
    new, small = collect(["rivals.py"]).hypotheses
    assert new.line == 2
    assert small.line is None


def test_wrong_sites_and_arguments_hide_nothing_else(write: Write) -> None:
    extra = (
        "\n@claim(story, model='m', data=data, metric='kl', scoerd='x', rest='kep')\ndef other():\n    return {}\n"
    )
    last = "wrong = ioi.but(anser=inside)\nheads('9.x', at='END')\n1 / 0\n"
    path = write("ioi.py", HEAD + CLAIM + extra)
    assert names("ioi.py") == ["ioi.py::ioi", "ioi.py::rival", "ioi.py::other"]
    other = collect(["ioi.py"]).hypotheses[-1]
    line = path.read_text().splitlines().index(extra.splitlines()[1]) + 1
    assert [(p.found, p.nearest, p.line) for p in other.wrong] == [
        ("@claim has no argument 'scoerd'.", "scored", line),
        (
            "rest='kep' is unknown. Did you mean 'keep'? Known: resample, keep, paired, mean, zero.",
            None,
            line,
        ),
    ]
    write("ioi.py", HEAD + CLAIM + last.replace("1 / 0\n", ""))
    found = collect(["ioi.py::wrong"])
    assert (
        [p.found for p in found.problems]
        == [p.found for p in found.problems if p.found.startswith("'9.x' names no component")]
        != []
    )
    ((problem,),) = [h.wrong for h in found.hypotheses]
    assert (problem.found, problem.nearest) == (
        "ioi.but(anser=...): no variable, column or setting of that name.",
        "answer",
    )
    write("ioi.py", HEAD + CLAIM + last)
    assert [p.found.split()[0] for p in collect(["ioi.py"]).problems] == ["'9.x'", "importing"]


def test_two_claims_of_one_name_are_told(write: Write) -> None:
    second = CLAIM.replace('"loss(io)"', '"accuracy(io)"')
    lines = write("twice.py", HEAD + CLAIM + second).read_text().splitlines()
    first, again = (number for number, line in enumerate(lines, start=1) if line.startswith("def ioi"))
    assert [(p.line, p.found) for p in collect(["twice.py"]).problems] == [
        (again, f"'ioi' is the name of another claim too, in line {first}: Python keeps the last."),
        (again + 3, f"'rival' is the name of another claim too, in line {first + 3}: Python keeps the last."),
    ]


def test_what_is_no_other_claim_may_have_had_the_name(write: Write) -> None:
    again = 'rival = rival.but(rest="zero").foil("why")\nioi = ioi.but(rest="zero")\n'
    write("again.py", HEAD.replace("def answer", "def ioi") + CLAIM + again)
    assert names("again.py") == ["again.py::ioi", "again.py::rival"]
    write("story.py", "\n".join([HEAD, "ioi = Interpretation()", CLAIM.replace("claim(story,", "claim(ioi,")]))
    assert names("story.py") == ["story.py::ioi", "story.py::rival"]


def test_of_a_directory_only_files_that_import_scrub_are_run(write: Write) -> None:
    """Found by reading: nothing else is run, and nothing below environments, caches and hidden folders."""
    write("good.py", HEAD + CLAIM)
    write("late.py", f"def training():\n    import scrub\n{HEAD}{CLAIM}")
    write("broken.py", "from scrub import claim\ndef (")
    others = (".hidden/a", "_old/a", "env/a", "env/lib/a", "conda/a", "node_modules/a", "x/site-packages/a")
    for name in others:
        write(f"{name}.py", "open('ran', 'w')\nimport scrub")
    write("env/pyvenv.cfg", "")
    write("conda/conda-meta/history", "")
    write("train.py", "'import scrub'\nfrom .scrub import x\nopen('ran', 'w')")
    os.mkfifo("pipe.py")
    found = collect(["."])
    assert {h.file for h in found.hypotheses} == {"good.py", "late.py"}
    assert [p.file for p in found.problems] == ["broken.py"]
    assert not Path("ran").exists()


def test_a_directory_of_everything_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scrub.claims.collect.MOST_FOLDERS", 2)
    write("a/b/good.py", HEAD + CLAIM)
    with pytest.raises(ClaimError, match=r"\. has more than 2 directories below it: name the one with claims"):
        collect(["."])
    assert len(collect(["a"]).hypotheses) == 2
