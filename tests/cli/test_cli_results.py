"""What commands end with and write: exit codes, JSON, and lines that fit."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from cli_cases import FOIL, GOOD, NAN, Write, results, scrub, write
from scrub.cli.terminal import fitted

__all__ = ["write"]
READERS = ("list", "check", "show", "plan")
COMMANDS = (*READERS, "test", "explain")
FEW = {"plan": ("--draws", 4), "test": ("--draws", 4), "explain": ("--draws", 4)}
MARKED = f"{GOOD}\n{FOIL}"


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


# results


@pytest.mark.parametrize("command", COMMANDS)
def test_json_on_standard_output_is_all_that_is_there(write: Write, command: str) -> None:
    talking = "print('a file that talks')\ndef talking():\n    print('more')\n    return rows()\n"
    file = write(talking + MARKED.replace("make()", "make(data=talking)"))
    found = scrub(command, file, *FEW.get(command, ()), "--json", "-")
    assert found.exit_code == 0
    assert {r["hypothesis"] for r in results(found.stdout)} == {"claims.py::good", "claims.py::foil"}
    assert set(found.stderr.splitlines()) - {"more"} == {"a file that talks"}


@pytest.mark.parametrize("command", COMMANDS)
def test_json_in_a_file_is_the_same(write: Write, command: str) -> None:
    file, few = write(MARKED), FEW.get(command, ())
    found = scrub(command, file, *few, "--json", "deep/er.json")
    assert "good" in found.stdout
    assert Path("deep/er.json").read_text() == scrub(command, file, *few, "--json", "-").stdout
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
