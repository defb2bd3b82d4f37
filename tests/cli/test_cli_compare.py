"""`scrub compare`: what it prints, its JSON, how it names claims, and what it refuses."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from cli_cases import Write, scrub, write

__all__ = ["write"]
RIVALS = "right_one = make()\nother = make(odd)"
KEYS = {"hypotheses", "differences", "pareto", "refines", "structural", "rows", "draws", "seed"}


def compared(*arguments: object) -> dict[str, Any]:
    found = scrub("compare", *arguments, "--json", "-")
    assert found.exit_code == 0, found.stderr
    [result] = json.loads(found.stdout)["results"]
    return result


def test_keys_of_a_comparison(write: Write) -> None:
    result = compared(write(RIVALS), "--draws", 5, "--rows", 40, "--seed", 2)
    assert set(result) >= KEYS
    assert (result["rows"], result["draws"], result["seed"]) == (40, 5, 2)
    [difference] = result["differences"]
    assert {"a", "b", "value", "low", "high", "p", "adjusted", "verdict"} <= set(difference)
    assert {"hypothesis", "bits", "recovered"} <= set(result["pareto"][0])
    names = [h["hypothesis"] for h in result["hypotheses"]]
    assert names == ["claims.py::right_one", "claims.py::other"] == [difference["a"], difference["b"]]
    assert difference["verdict"] == "a better"
    assert difference["low"] <= difference["value"] <= difference["high"]
    one, two = (h["recovered"]["value"] for h in result["hypotheses"])
    assert difference["value"] == pytest.approx(one - two)
    assert result["refines"] == []
    assert "site only in right_one: h" in [fact["fact"] for fact in result["structural"]]
    assert all({"a", "b", "fact"} <= set(fact) for fact in result["structural"])


def test_claims_of_one_file_named_one_by_one(write: Write) -> None:
    """The file is imported twice: its functions are others, its model, data and metric are not."""
    file = write(RIVALS)
    whole, named = compared(file), compared(f"{file}::right_one", f"{file}::other")
    for result in (whole, named):
        result.pop("provenance")
    assert whole == named


def test_what_is_printed(write: Write) -> None:
    found = scrub("compare", write(RIVALS), "--draws", 5)
    assert found.exit_code == 0
    assert found.stdout.startswith("right_one is better than other: ")
    for text in (
        "right_one - other",
        "share against bits",
        "keep everything (control)",
        "rows that decide",
        "seed 0",
    ):
        assert text in found.stdout


def test_names_that_collide_are_told_apart_by_file(write: Write) -> None:
    one, two = write("c = make()", "one.py"), write("c = make(odd)", "two.py")
    found = scrub("compare", f"{one}::c", f"{two}::c", "--draws", 5)
    assert found.exit_code == 0
    assert found.stdout.startswith("one.py::c is better than two.py::c: ")
    again = compared(f"{one}::c", f"{one}::c")
    assert [h["hypothesis"] for h in again["hypotheses"]] == ["one.py::c", "one.py::c (2)"]
    assert again["differences"][0]["verdict"] == "cannot tell"
    assert again["differences"][0]["p"] == 1
    assert len(again["refines"]) == 2


def test_foils_and_claims_without_expectation_are_compared(write: Write) -> None:
    file = write("c = make(expect=None)\nfalse = make(odd).foil('odd is wrong')\nthird = make()")
    result = compared(file, "--draws", 5)
    assert [(h["verdict"], h["foil"]) for h in result["hypotheses"]] == [
        (None, None), ("refuted", "odd is wrong"), ("supported", None),
    ]  # fmt: skip
    assert [d["verdict"] for d in result["differences"]] == ["a better", "cannot tell", "b better"]
    assert [d["adjusted"] > d["p"] for d in result["differences"]] == [True, False, True]


def test_the_picture(write: Write) -> None:
    file = write(RIVALS)
    found = scrub("compare", file, "--draws", 2, "--picture", "bits.svg")
    assert found.exit_code == 0
    assert "picture: bits.svg" in found.stdout
    assert ET.parse("bits.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("text", "arguments", "sentence"),
    [
        ("c = make()", [], "only one claim in claims.py: name a second one"),
        ("c = make()\nd = make(predicts='b', metric='kl')", [], "metrics differ: c: right, higher is better; d: kl"),
        ("c = make()\nd = make(data=lambda: rows(20))", [], "data differ: c: 48 rows"),
        (RIVALS, ["--rows", 0], "--rows 0"),
        (RIVALS, ["--draws", 0], "--draws 0"),
        (RIVALS, ["--seed", -1], "--seed -1"),
        (RIVALS, ["--device", "cuda"], "device cuda: a computation graph"),
        (RIVALS, ["--picture", "a.jpg"], "a.svg"),
        (RIVALS, ["--picture", "."], "cannot be written"),
        (RIVALS, ["--model", "zoo:nothing"], "nothing"),
        ("c = make()\nd = make(lambda: dict(half=nodes('hh')))", [], "hh does not exist"),
        ("c = make(", [], "syntax error"),
    ],
)
def test_misuse_is_said_in_a_sentence(write: Write, text: str, arguments: list[object], sentence: str) -> None:
    found = scrub("compare", write(text), *arguments)
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert "Traceback" not in found.output


def test_other_functions_are_another_model_or_metric(write: Write) -> None:
    write("c = make()", "one.py")
    write("c = make()", "two.py")
    changed = write("c = make()", "three.py").read_text()
    with open("three.py", "w") as file:
        file.write(changed.replace("lambda a: a // 2)", "lambda a: a // 3)"))
    with open("four.py", "w") as file:
        file.write(changed.replace("-abs(", "-2 * abs("))
    assert scrub("compare", "one.py", "two.py", "--draws", 2).exit_code == 0
    for other, what in (("three.py", "have different models ("), ("four.py", "have different models or metrics (")):
        found = scrub("compare", "one.py", other, "--draws", 2)
        assert found.exit_code == 2
        assert f"one.py::c and {other}::c {what}" in found.stderr
