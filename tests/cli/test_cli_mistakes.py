"""Everything that can be wrong is a sentence, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

import scrub as package
from cli_cases import GOOD, NAN, Write, model_directory, results, scrub, write

__all__ = ["write"]
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
