"""The pytest plugin: claims as tests, in pytests of their own; and the table for a CI page."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
from pathlib import Path
from textwrap import dedent

import pytest

import scrub as package
from cli_cases import FALSE, HEAD, Write, scrub, write
from score.cases import sum_claim
from scrub.claims.collect import collect

__all__ = ["write"]
GALLERY = Path(__file__).parents[1] / "hypotheses"
pytest_plugins = ["pytester"]
# the plugin by its module: whether the entry point is installed makes no difference
PLUGIN = ("-p", "no:scrub", "-p", "scrub.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """A pytest within this one drops the modules that it was the first to import: here it is none."""
    for found in pkgutil.walk_packages(package.__path__, "scrub."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    for module in ("datasets", "transformer_lens.model_bridge", "transformers.models.gpt2.modeling_gpt2"):
        importlib.import_module(module)


def made(pytester: pytest.Pytester, text: str, name: str = "hypotheses/stated.py", head: str = HEAD + FALSE) -> None:
    path = pytester.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "\n" + dedent(text) + "\n")


def ran(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*PLUGIN, *arguments)


def test_claims_and_foils_are_items_and_foils_are_inverted(pytester: pytest.Pytester) -> None:
    made(pytester, """
        good = make()
        wrong = make(odd)
        foil = make(odd).foil("g is the remainder")
        true_foil = make().foil("is not false at all")
    """)  # fmt: skip
    found = ran(pytester, "-v", "hypotheses")
    found.assert_outcomes(passed=2, failed=2)
    found.stdout.fnmatch_lines(["hypotheses/stated.py::good PASSED*", "hypotheses/stated.py::wrong FAILED*"])
    found.stdout.fnmatch_lines(["hypotheses/stated.py::foil PASSED*", "hypotheses/stated.py::true_foil FAILED*"])
    found.stdout.fnmatch_lines(["*✗ wrong  refuted  recovered*", "*A foil passes only*cannot tell: *"])
    found.stdout.no_fnmatch_line("*Traceback*")
    found.stdout.no_fnmatch_line("*pytest_plugin.py:*")


def test_one_claim_by_its_name_with_fewer_rows_and_draws(pytester: pytest.Pytester) -> None:
    made(pytester, "good = make()\nwrong = make(odd)")
    found = ran(pytester, "--scrub-rows", "36", "--scrub-draws", "3", "hypotheses/stated.py::wrong")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*✗ wrong  refuted*", "*wrong  recovered*(36 rows x 3 draws, seed 0)"])


def test_a_failure_is_explained_as_scrub_explain_does(pytester: pytest.Pytester) -> None:
    made(pytester, "wrong = make(odd)\ntrue_foil = make().foil('is not false at all')")
    found = ran(pytester, "--scrub-rows", "40", "--scrub-draws", "4", "hypotheses")
    found.assert_outcomes(failed=2)
    printed = found.stdout.str()
    for name in ("wrong", "true_foil"):
        told = scrub("explain", f"hypotheses/stated.py::{name}", "--rows", 40, "--draws", 4).stdout
        lines = [line for line in told.splitlines() if line.strip()]
        assert len(lines) > 20
        assert any(line.startswith("row ") for line in lines)
        assert [line for line in lines if line not in printed] == []
    taught = "*Add rows on which the false claim and the true one*"
    found.stdout.fnmatch_lines(["*true_foil  (foil)  supported*", "*foil: is not false at all", taught])


def test_what_cannot_be_judged_is_told_without_an_explanation(pytester: pytest.Pytester) -> None:
    made(pytester, "few = make(data=lambda: rows(9))")
    found = ran(pytester, "hypotheses")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*few  undefined*", "*9 reference rows are too few*", "*swaps of*"])
    found.stdout.no_fnmatch_line("*all but it*")


def test_frozen_claims_are_items(pytester: pytest.Pytester) -> None:
    (claim,) = collect([f"{GALLERY / 'induction.py'}::induction"]).hypotheses
    package.freeze(claim, pytester.path / "hypotheses" / "published")
    package.freeze(claim, pytester.path / "elsewhere")
    damaged = pytester.path / "hypotheses" / "damaged"
    shutil.copytree(pytester.path / "elsewhere", damaged)
    (damaged / "claim.txt").write_text("changed")
    found = ran(pytester, "-v", "--scrub-rows", "60", "--scrub-draws", "8", "--continue-on-collection-errors")
    found.assert_outcomes(passed=1, errors=1)
    found.stdout.fnmatch_lines(["*published/claim.json::induction PASSED*", "*damaged/claim.txt:1 says 'changed'*"])
    ran(pytester, "--scrub", "--collect-only", "elsewhere").stdout.fnmatch_lines(["*induction*"])


def test_a_frozen_claim_without_its_model_is_skipped(pytester: pytest.Pytester) -> None:
    folder = pytester.path / "hypotheses" / "graph"
    package.freeze(sum_claim(metric="kl", predicts="label"), folder)
    found = ran(pytester, "-rs", "hypotheses")
    found.assert_outcomes(skipped=1)
    found.stdout.fnmatch_lines(["*SKIPPED*frozen without its model*"])


def test_a_claim_whose_model_cannot_be_loaded_is_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    made(pytester, """
        lost = make(model="zoo:inductoin")
        def broken():
            raise RuntimeError("no weights here")
        lost_too = make(model=broken)
        good = make()
    """)  # fmt: skip
    found = ran(pytester, "-rs", "hypotheses")
    found.assert_outcomes(passed=1, skipped=2)
    lost, broken = "hypotheses/stated.py::lost: ", "hypotheses/stated.py::lost_too: "
    found.stdout.fnmatch_lines([f"*SKIPPED*{lost}*inductoin*induction*", f"*SKIPPED*{broken}*no weights here*"])


def test_a_model_that_fails_while_it_runs_is_a_failure(pytester: pytest.Pytester) -> None:
    made(pytester, """
        def failing():
            made = graph()
            made.nodes["g"]["function"] = lambda a: 1 // 0
            return made
        bad = make(model=failing)
    """)  # fmt: skip
    found = ran(pytester, "hypotheses")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*node 'g' of the model raised ZeroDivisionError*"])


def test_a_wrong_claim_fails_with_its_problems_and_a_broken_file_is_an_error(pytester: pytest.Pytester) -> None:
    made(pytester, 'bad = make(lambda: dict(half=nodes("hh"), b=nodes("b"), answer=nodes("out")))')
    made(pytester, "1 // 0", "hypotheses/broken.py")
    found = ran(pytester, "--continue-on-collection-errors", "hypotheses")
    found.assert_outcomes(failed=1, errors=1)
    found.stdout.fnmatch_lines(["*ZeroDivisionError*", "*node hh does not exist*"])
    found.stdout.no_fnmatch_line("*Traceback*")


def test_collecting_imports_no_torch_and_runs_no_data(pytester: pytest.Pytester) -> None:
    made(pytester, """
        def forbidden():
            raise SystemExit("data were built")
        good = make(data=forbidden)
    """)  # fmt: skip
    pytester.makeconftest("""
        import sys
        def pytest_collection_finish(session):
            print("items", [i.name for i in session.items], "torch", "torch" in sys.modules)
    """)
    found = pytester.runpytest_subprocess(*PLUGIN, "--collect-only", "-s", "hypotheses")
    found.stdout.fnmatch_lines(["*items ?'good'? torch False*"])


def test_files_elsewhere_are_left_alone_unless_asked(pytester: pytest.Pytester) -> None:
    for name in ("claims.py", "other/claims.py", "other/test_claims.py"):
        made(pytester, "good = make()", name)
    (pytester.path / "test_own.py").write_text("def test_own():\n    pass\n")
    ran(pytester).assert_outcomes(passed=1)
    ran(pytester, "--scrub").assert_outcomes(passed=4)


def test_files_under_hypotheses_that_do_not_import_scrub_are_not_run(pytester: pytest.Pytester) -> None:
    made(pytester, "raise SystemExit('was run')", "hypotheses/theirs.py", head="import sys\nmade = 'scrub'")
    made(pytester, "import scrub\ndef test_own():\n    pass", "hypotheses/test_theirs.py", head="")
    ran(pytester).assert_outcomes(passed=1)


def test_markdown_has_a_line_for_each_claim(write: Write) -> None:
    file = write('good = make()\nwrong = make(odd)\nfoil = make(odd).foil("a | b\\nc")\n')
    assert scrub("test", file, "--markdown", "ci/page.md").exit_code == 1
    head, _, summary, _, names, rule, *rows, end = (file.parent / "ci/page.md").read_text().split("\n")
    assert (head, summary, end) == ("## Claims", "2 of 3 pass: 1 of 2 claims supported, 1 foil refuted.", "")
    assert names.replace(" ", "") == "||claim|verdict|recovered|bar|reason|"
    assert rule.count("---") == 6
    cells = [row.replace("\\|", "/").split(" | ") for row in rows]
    assert [c[0] for c in cells] == ["| passes", "| **fails**", "| passes"]
    assert [c[1] for c in cells] == [f"claims.py::{name}" for name in ("good", "wrong", "foil")]
    assert [c[2] for c in cells] == ["supported", "refuted", "refuted, as a foil should be"]
    assert cells[0][3].startswith("1.00 [")
    assert cells[0][4] == "0.90"
    assert cells[2][5].endswith("Foil: a / b c |")


def test_markdown_that_cannot_be_written_is_told_before_the_run(write: Write) -> None:
    found = scrub("test", write("good = make()"), "--markdown", ".")
    assert (found.exit_code, "directory" in found.output) == (2, True)
    assert "supported" not in found.output
