"""The command line: exit codes, JSON, and a sentence for everything that a user can get wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import scrub as package
from cli_cases import Write, scrub, write
from scrub.claims.text import words
from scrub.cli.terminal import fitted

__all__ = ["write"]
GOOD = "good = make()"
FOIL = 'foil = make(odd).foil("g is the remainder")'
READERS = ("list", "check", "show", "plan")
COMMANDS = (*READERS, "test", "explain")


def results(output: str) -> list[dict[str, Any]]:
    found = json.loads(output, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(found) == ["scrub", "results"]
    assert found["scrub"] == package.__version__
    return found["results"]


# exit codes


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ((GOOD,), 0),
        ((GOOD, FOIL), 0),
        (("wrong = make(odd)",), 1),
        (('kept = make().foil("it is true")',), 1),
        (("few = make(data=lambda: rows(9))",), 3),
        (('few = make(data=lambda: rows(9)).foil("too few")',), 3),
        (("few = make(data=lambda: rows(9))", "wrong = make(odd)"), 1),
        (("few = make(data=lambda: rows(9))", GOOD), 3),
        (("wrong = make(odd)", "lost = make(model=7)"), 2),
    ],
)
def test_exit_codes_of_test(write: Write, claims: tuple[str, ...], code: int) -> None:
    assert scrub("test", write("\n".join(claims))).exit_code == code


def test_a_wrong_claim_stops_all_before_anything_is_run(write: Write) -> None:
    file = write(
        'seen = make(metric=Metric(lambda o, r: open("ran", "w")))\nlost = make(model=7)\nbad = make(data=8)'
    )
    found = scrub("test", file)
    assert found.exit_code == 2
    assert "lost" in found.stderr
    assert "bad" in found.stderr
    assert not Path("ran").exists()


def test_nine_rows_are_undefined(write: Write) -> None:
    found = scrub("test", write(GOOD), "--rows", 9, "--json", "-")
    assert found.exit_code == 3
    [result] = results(found.stdout)
    assert (result["verdict"], result["rows"], result["recovered"]["value"]) == ("undefined", 9, None)


def test_check_exits_with_0_or_2(write: Write) -> None:
    assert scrub("check", write(f"{GOOD}\n{FOIL}")).exit_code == 0
    assert scrub("check", write(f"{GOOD}\nlost = make(model=7)")).exit_code == 2


# everything that can be wrong is a sentence, and exit code 2

NAN = "make(metric=Metric(lambda o, r: math.{} if r.columns['a'] == 1 else 0.0))"
WRONG = {
    "no rows": ("c = make(data=lambda: rows(0))", "the data set is empty"),
    "one row": ("c = make(data=lambda: rows(1))", "one row only"),
    "nan": (f"c = {NAN.format('nan')}", "in rows 1, 7, 13, 19"),
    "infinite": (f"c = {NAN.format('inf')}", "in rows 1, 7, 13, 19"),
    "metric raises": ("c = make(metric=Metric(lambda o, r: 1 / 0))", "raised ZeroDivisionError: division by zero"),
    "data raises": ("def broken():\n    return {}['x']\nc = make(data=broken)", "broken() raised KeyError: 'x'"),
    "data takes more": ("def broken(more):\n    pass\nc = make(data=broken)", "argument: 'more'"),
    "data makes none": ("c = make(data=lambda: None)", "returned NoneType"),
    "data exits": ("c = make(data=lambda: sys.exit(0))", "called sys.exit(0)"),
    "model raises": ("def broken():\n    return 1 / 0\nc = make(model=broken)", "broken() raised ZeroDivisionError"),
    "claim raises": ("def broken():\n    return 1 / 0\nc = make(broken)", "the claim raised ZeroDivisionError"),
    "claim exits": ("c = make(lambda: sys.exit(0))", "called sys.exit(0)"),
    "story raises": (
        "wrong = Interpretation()\n@wrong.variable\ndef answer(a):\n    return 1 // a\n"
        "c = make(lambda: dict(answer=nodes('out')), wrong)",
        "variable 'answer' raised ZeroDivisionError",
    ),
    "unknown model": ("c = make(model='gpt2-smal')", "Did you mean 'gpt2-small'?"),
    "no model of the zoo": ("c = make(model='zoo:inductoin')", "Did you mean 'induction'?"),
    "no hub": ("c = make(model='someone/something')", "the Hugging Face hub cannot be reached"),
    "no hub, a way out": ("c = make(model='someone/something')", "--model DIR"),
    "no tokenizer": ("c = make(model='EleutherAI/pythia-70m', data=lambda tokenizer: rows())", "need a tokenizer"),
    "syntax": ("def (", "syntax error"),
    "raises": ("1 / 0", "importing the file raised ZeroDivisionError"),
    "exits": ("sys.exit(0)", "importing the file raised SystemExit"),
    "no claims": ("", "holds no claims"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_a_sentence(write: Write, case: str) -> None:
    body, sentence = WRONG[case]
    for command in (
        "test",
        "explain",
        *(() if "metric" in case or case in ("nan", "infinite") else ("check", "show")),
    ):
        found = scrub(command, write(body))
        assert found.exit_code == 2, command
        assert sentence in found.output, command
        assert "Traceback" not in found.output


def test_a_site_written_wrong_at_the_top_of_a_file_is_told_with_the_claim_that_has_it(write: Write) -> None:
    gallery = (Path(package.__file__).parents[1] / "hypotheses" / "induction.py").read_text()
    typo = 'typo = induction.but(found=heads("1.0", at="EN+D").reads(k="before"))'
    found = scrub("check", write(typo, head=gallery), "--json", "found.json")
    assert found.exit_code == 2
    assert found.output.count("'EN+D' is no position: write a name (END)") == 1
    assert f"claims.py:{len(gallery.splitlines()) + 2}  typo > found\n" in found.output
    assert found.output.count("✓ ") == 4
    assert "✓ typo" not in found.output
    (told,) = [r for r in results(Path("found.json").read_text()) if r["hypothesis"].endswith("::typo")]
    assert (len(told["problems"]), told["warnings"]) == (1, [])


def test_a_mistake_in_a_shared_setting_is_told_once(write: Write) -> None:
    foils = "\n".join(f'f{i} = base.but(half=nodes("h")).foil("wrong")' for i in range(3))
    found = scrub("check", write(f'base = make(within="parity")\n{foils}'))
    assert found.output.count("no column 'parity'") == 1
    assert "base, f0, f1, f2\n" in found.output
    assert found.output.splitlines()[-1] == "1 problem in 4 of 4 claims. Nothing was run."


def test_an_error_of_a_run_says_which_claim_it_was(write: Write) -> None:
    file = write("good = make()\nbad = make(metric=Metric(lambda o, r: 1 / 0))")
    for command in ("test", "explain"):
        assert "scrub: claims.py::bad: metric <lambda> raised ZeroDivisionError" in scrub(command, file).stderr


def test_a_problem_of_the_data_is_shown_at_the_line_that_raised(write: Write) -> None:
    file = write("def broken():\n    return {}['x']\n\n\nc = make(data=broken)")
    line = 1 + file.read_text().splitlines().index("    return {}['x']")
    assert f"claims.py:{line}  " in scrub("check", file).output


def test_a_function_of_ones_own_that_fails_is_shown_by_its_innermost_line(write: Write) -> None:
    """Wherever it stands: in another file, called by another function, below a library."""
    head = "from scrub import Dataset\n\ndef first(x):\n    return x['nam']\n\n"
    others = "def closeness(o, r): return first({})\ndef h(a): return first({})"
    write(f"def lost(): return sorted([{{}}], key=first)\n{others}", "prompts.py", head)
    write("import prompts\na = make(data=prompts.lost)", "data.py")
    found = scrub("check", "data.py")
    assert "prompts.py:4  a\n    data=: lost() raised KeyError: 'nam'." in found.output
    write("import prompts\nb = make(metric=Metric(prompts.closeness))", "metric.py")
    assert "metric closeness raised KeyError: 'nam' (prompts.py:4)" in scrub("test", "metric.py").stderr
    write("import prompts\ndef wrong():\n    return prompts.first({})\nc = make(wrong)", "claim.py")
    assert "prompts.py:4  c\n    the claim raised KeyError: 'nam'" in scrub("check", "claim.py").output
    write("import prompts\nprompts.first({})", "top.py")
    assert "prompts.py:4\n    importing the file raised KeyError: 'nam'" in scrub("check", "top.py").output
    write("import json\ndef deep():\n    return json.loads('{')", "below.py", "")
    write("import below\nf = make(data=below.deep)", "library.py")
    assert "below.py:4  f\n    data=: deep() raised JSONDecodeError" in scrub("check", "library.py").output
    graph = "import prompts\ndef made():\n    g = graph()\n    g.nodes['h']['function'] = prompts.h\n    return g"
    write(f"{graph}\nd = make(model=made)", "model.py")
    assert "node 'h' of the model raised KeyError: 'nam' (prompts.py:4)" in scrub("test", "model.py").stderr
    story = "import prompts\ns = Interpretation()\n@s.variable\ndef answer(b):\n    return prompts.first({})\n"
    write(f"{story}e = make(lambda: dict(b=nodes('b'), answer=nodes('out').reads(b='b')), s)", "story.py")
    assert "variable 'answer' raised KeyError: 'nam' (prompts.py:4)" in scrub("check", "story.py").output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["test", "clams.py"], "no such file: clams.py. Did you mean 'claims.py'?"),
        (["test", "claims.py::god"], "no claim 'god'. Did you mean 'good'?"),
        (["test", "claims.py::good[half=1]"], "no variant 'half'"),
        (["test", "claims.py", "--draws", 0], "--draws 0"),
        (["test", "claims.py", "--rows", 0], "--rows 0"),
        (["plan", "claims.py", "--draws", 0], "--draws 0"),
        (["explain", "claims.py", "--rows", -1], "--rows -1"),
        (["test", "claims.py", "--seed", -1], "--seed -1"),
        (["test", "claims.py", "--draws", "many"], "'many' is not a valid integer"),
        (["test", "claims.py", "--device", "cuda"], "device cuda"),
        (["test", "claims.py", "--model", "nowhere"], "model 'nowhere' is not here"),
        (["explain", "claims.py", "--row", 99], "--row 99"),
        (["test", "claims.py", "--out", "claims.py"], "cannot be written"),
        (["test", "claims.py", "--json", "."], "cannot be written: it is a directory"),
        (["test", "claims.py", "--json", "claims.py/x.json"], "cannot be written"),
        (["tset", "claims.py"], "Did you mean 'test'?"),
        (["test", "claims.py", "--draw", 3], "No such option"),
        (["test"], "Missing argument"),
        (["new", "claims.py"], "exists already"),
    ],
)
def test_misuse_is_said_in_a_sentence(write: Write, arguments: list[object], sentence: str) -> None:
    write(GOOD)
    found = scrub(*arguments)
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert not found.stdout


def test_devices_that_are_not_there(write: Write) -> None:
    torch = pytest.importorskip("torch")
    scrub("new", "induction.py")
    for device in ("cpux", "meta", *(() if torch.cuda.is_available() else ("cuda",))):
        found = scrub("test", "induction.py::induction", "--rows", 10, "--draws", 1, "--device", device)
        assert found.exit_code == 2
        assert f"--device {device}: not available here" in found.stderr


def test_tokens_beyond_the_model(write: Write) -> None:
    scrub("new", "induction.py")
    source = Path("induction.py").read_text()
    for change, sentence in (
        ('made[3]["tokens"][1] = 5000', "rows 3 have token ids beyond the model's vocabulary"),
        ('made[4]["tokens"] += [1] * 100', "rows 4 are longer than the model's context"),
    ):
        body = f"    made = induction_rows(300, seed=1)\n    {change}\n    return Dataset.from_rows(made)"
        old = "    return Dataset.from_rows(induction_rows(300, seed=1))"
        assert old in source
        Path("changed.py").write_text(source.replace(old, body))
        found = scrub("check", "changed.py::induction")
        assert found.exit_code == 2
        assert sentence in found.output


@pytest.mark.parametrize("vocabulary", [None, ()])
def test_a_tokenizer_that_is_missing_or_empty(write: Write, vocabulary: tuple[str, ...] | None) -> None:
    folder = model_directory(Path("model"), vocabulary)
    found = scrub("check", write("c = make(data=lambda tokenizer: rows())"), "--model", folder)
    assert found.exit_code == 2
    assert ("has none here" if vocabulary is None else "a vocabulary of 0 tokens") in found.output


# results

MARKED = "good = make()\nfoil = make(odd).foil('g is the remainder')"


@pytest.mark.parametrize("command", COMMANDS)
def test_json_on_standard_output_is_all_that_is_there(write: Write, command: str) -> None:
    talking = "print('a file that talks')\ndef talking():\n    print('more')\n    return rows()\n"
    file = write(talking + MARKED.replace("make()", "make(data=talking)"))
    found = scrub(command, file, "--json", "-")
    assert found.exit_code == 0
    assert {r["hypothesis"] for r in results(found.stdout)} == {"claims.py::good", "claims.py::foil"}
    assert set(found.stderr.splitlines()) - {"more"} == {"a file that talks"}


@pytest.mark.parametrize("command", COMMANDS)
def test_json_in_a_file_is_the_same(write: Write, command: str) -> None:
    file = write(MARKED)
    found = scrub(command, file, "--json", "deep/er.json")
    assert "good" in found.stdout
    assert Path("deep/er.json").read_text() == scrub(command, file, "--json", "-").stdout
    assert [p.name for p in Path("deep").iterdir()] == ["er.json"]


def test_keys_of_a_result(write: Write) -> None:
    claim, foil = results(scrub("test", write(MARKED), "--json", "-").stdout)
    wanted = (
        "hypothesis digest foil verdict reason passed expect recovered constant bar metric unexplained bits rows "
    )
    assert set((wanted + "draws seed diagnostics options").split()) <= set(claim)
    assert set(claim["recovered"]) == {"value", "low", "high", "level"}
    assert {"name", "model", "scrubbed", "random"} <= set(claim["metric"])
    assert {"aue", "ate", "explained"} <= set(claim["unexplained"])
    assert {"kept", "everything"} <= set(claim["bits"])
    assert (claim["expect"], claim["foil"], foil["foil"]) == (0.9, None, "g is the remainder")
    assert (claim["verdict"], foil["verdict"], claim["passed"], foil["passed"]) == (
        "supported",
        "refuted",
        True,
        True,
    )


def test_keys_of_a_check(write: Write) -> None:
    file = write("good = make()\nlost = make(model=7)")
    broken = write("def (", "broken.py")
    found = scrub("check", file, broken, "--json", "-")
    good, lost, unread = results(found.stdout)
    assert found.exit_code == 2
    assert set(good) == set(lost) == set(unread) == {"hypothesis", "problems", "warnings", "accuracy"}
    assert (good["hypothesis"], good["problems"], good["accuracy"]) == ("claims.py::good", [], 1.0)
    assert set(lost["problems"][0]) == {"file", "line", "variable", "found", "nearest", "fix"}
    assert (unread["hypothesis"], unread["problems"][0]["file"]) == ("broken.py", "broken.py")


def test_a_list_has_every_claim_with_its_variant_and_every_broken_file(write: Write) -> None:
    body = 'def places2(wide=True):\n    return places()\nc = make(places2, model="gpt2")\nf = c.foil("why")'
    found = scrub("list", write(body), write("def (", "broken.py"), "--json", "-")
    first, second, broken = results(found.stdout)
    assert found.exit_code == 2
    assert (first["model"], first["expect"], first["variants"]) == ("gpt2", 0.9, {"wide": True})
    assert (second["foil"], first["problems"]) == ("why", [])
    assert (broken["hypothesis"], len(broken["problems"])) == ("broken.py", 1)
    shown = scrub("list", "claims.py::c[wide=False]").stdout
    assert "claims.py::c[wide=False]  gpt2" in shown


@pytest.mark.parametrize("command", ["show", "plan", "test", "explain"])
def test_no_json_while_something_is_wrong(write: Write, command: str) -> None:
    file = write("good = make()\nlost = make(model=7)")
    assert scrub(command, file, "--json", "-").stdout == ""
    assert scrub(command, file, "--json", "x.json").exit_code == 2
    assert not Path("x.json").exists()


def test_a_claim_without_expectation_is_shown_and_planned_but_not_tested(write: Write) -> None:
    file = write("c = make(expect=None)")
    assert [scrub(c, file).exit_code for c in ("show", "plan", "test", "check")] == [0, 0, 2, 2]


def test_out_holds_the_run(write: Write) -> None:
    found = scrub("test", write(MARKED), "--out", "runs/first")
    assert found.exit_code == 0
    assert [r["verdict"] for r in results(Path("runs/first/run.json").read_text())] == ["supported", "refuted"]


def test_results_are_shown_as_they_come(write: Write) -> None:
    """A later claim's error leaves what was found before on the screen."""
    found = scrub("test", write(f"good = make()\nlate = {NAN.format('nan')}"))
    assert found.exit_code == 2
    assert "✓ good  supported" in found.stdout
    assert "NaN or infinite" in found.stderr


@pytest.mark.parametrize("width", [80, 40])
def test_lines_break_between_words_where_a_terminal_has_no_room(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    line = "    " + " ".join(["undoing", "the-rest", "of", "found"] * 6)

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    short = "as it is"
    shown = fitted(f"{short}\n{line}", Terminal()).split("\n")
    assert shown[0] == short
    assert max(map(len, shown)) <= width
    assert " ".join(part.strip() for part in shown[1:]) == line.strip()
    assert all(part.startswith("      ") for part in shown[2:])
    assert fitted(line, StringIO()) == line


# interruptions

INTERRUPTED = "c = make(metric=Metric(lambda o, r: os.kill(os.getpid(), signal.SIGINT)))"


def test_an_interrupted_run_leaves_nothing_but_what_is_kept(write: Write) -> None:
    file = write(f"good = make()\n{INTERRUPTED}")
    line = [sys.executable, "-m", "scrub", "test", str(file), "--json", "results.json"]
    before = set(Path().iterdir())
    found = subprocess.run(line, capture_output=True, text=True, check=False)
    assert found.returncode == 130
    assert found.stderr.strip() == "scrub: interrupted; no results were written."
    assert {p for p in Path().iterdir() if p.name != "__pycache__"} == before
    kept = subprocess.run([*line, "--out", "runs"], capture_output=True, text=True, check=False)
    assert kept.returncode == 130
    told = "scrub: interrupted; what was computed is kept in runs: the same command goes on from there."
    assert kept.stderr.strip() == told
    assert {path.name for path in Path("runs").iterdir()} == {"kept.json", "blocks"}
    assert not Path("results.json").exists()


INDUCTION = Path(__file__).parents[2] / "hypotheses" / "induction.py"
BROKEN_OFF = {  # what is interrupted, at which of its calls; what is shown then; what is said to be kept
    "explain": ("scrub.score.explain.resample_only", 4, ["good  recovered 1.00", "Broken off: 2 more swaps"], ""),
    "compare": ("scrub.verbs.compare.judged", 2, ["good: recovered 1.00"], "what was computed is kept in kept"),
    "propose": (
        "scrub.proposals.search.bound_rest",
        1,
        ["caution: broken off after"],
        "the proposals above are kept",
    ),
}


@pytest.mark.parametrize("command", BROKEN_OFF)
def test_what_was_found_before_an_interruption_is_shown(
    write: Write, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """And nothing is said to be kept that is not."""
    name, at, shown, kept = BROKEN_OFF[command]
    module, function = name.rsplit(".", 1)
    original, calls = getattr(import_module(module), function), list[int]()

    def interrupted(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(*given, **named)

    monkeypatch.setattr(name, interrupted)
    file = f"{INDUCTION}::induction" if command == "propose" else write(f"{GOOD}\n{FOIL}")
    found = scrub(command, file, "--rows", 16, *(["--out", "kept"] if kept else []))
    assert found.exit_code == 130
    for line in shown:
        assert line in found.stdout
    assert found.stderr.startswith(f"scrub: interrupted; {kept or 'no results were written.'}")
    assert "no results" not in found.stderr or not kept
    if command == "propose":
        assert Path("kept/proposals.json").exists()


def test_an_interrupted_write_leaves_the_old_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(GOOD)
    Path("old.json").write_text("old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    assert scrub("check", file, "--json", "old.json").exit_code == 130
    assert Path("old.json").read_text() == "old"
    assert {p.name for p in Path().iterdir()} - {"__pycache__"} == {"old.json", "claims.py"}


def test_no_progress_bar_where_nobody_watches(write: Write) -> None:
    slow = write("import time\nc = make(metric=Metric(lambda o, r: time.sleep(0.003) or right(o, r)), data=rows(36))")
    line = [sys.executable, "-m", "scrub", "test", str(slow), "--rows", "30", "--draws", "15"]
    found = subprocess.run(line, capture_output=True, text=True, check=True)
    assert found.stderr == ""


# what is light stays light


def model_directory(path: Path, vocabulary: tuple[str, ...] | None = ("w0", "w1", "w2", "w3")) -> Path:
    """A directory with a config.json and, unless it is None, a tokenizer.json of whole words; no weights."""
    path.mkdir()
    config = {"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 2, "vocab_size": 20, "n_positions": 8}
    (path / "config.json").write_text(json.dumps(config))
    if vocabulary is not None:
        made: Any = words(("w0", *vocabulary[1:]) if vocabulary else ("w0",))
        raw = json.loads(made.to_str())
        raw["model"]["vocab"] = {word: i for i, word in enumerate(vocabulary)}
        (path / "tokenizer.json").write_text(json.dumps(raw))
    return path


HEAVY = ("torch", "transformers", "transformer_lens", "pandas", "rich", "tqdm", "scipy")


@pytest.mark.parametrize("command", READERS)
def test_reading_claims_imports_nothing_heavy(write: Write, command: str) -> None:
    write(GOOD, "graph.py")
    scrub("new", "zoo.py")
    scrub("new", "directory.py", "--model", model_directory(Path("model")))
    code = (
        "import sys\nfrom scrub.cli.group import main\n"
        f"try:\n    main({[command, 'graph.py', 'zoo.py', 'directory.py', '--json', 'out.json']!r})\n"
        f"finally:\n    print([m for m in {HEAVY} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "[]"
    listed = {r["hypothesis"].split("::")[0] for r in results(Path("out.json").read_text())}
    assert listed == {"graph.py", "zoo.py", "directory.py"}


def test_a_directory_without_weights_is_checked_shown_and_planned_but_not_tested(write: Write) -> None:
    folder = model_directory(Path("model"))
    scrub("new", "claims.py", "--model", folder)
    assert [scrub(c, "claims.py").exit_code for c in ("check", "show", "plan")] == [0, 0, 0]
    found = scrub("test", "claims.py", "--rows", 10)
    assert found.exit_code == 2
    assert "no weights" in found.stderr


def test_gpt2s_tokenizer_without_its_weights(write: Write) -> None:
    data = Path(os.environ.get("SCRUB_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    folder = data.absolute() / "gpt2-tokenizer"
    if not folder.is_dir():
        pytest.skip("gpt2-tokenizer: set SCRUB_TEST_DATA")
    write("")
    scrub("new", "ioi.py", "--like", "ioi")
    for command in ("check", "show", "plan"):
        assert scrub(command, "ioi.py", "--model", folder).exit_code == 0
    assert scrub("check", "ioi.py", "--model", "zoo:induction").exit_code == 2
