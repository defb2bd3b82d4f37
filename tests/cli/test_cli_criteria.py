"""`scrub criteria`: what it prints, its JSON, which circuit and which claims it judges, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_cases import Write, scrub, write

__all__ = ["write"]
COMPOSE = str(Path(__file__).parents[2] / "hypotheses" / "compose.py")
FEW = ("--random", 20, "--rows", 40)
QUICK = ("--random", 2, "--rows", 12, "--budget", 1, "--no-tests")


def judged(*arguments: object) -> list[dict[str, Any]]:
    found = scrub("criteria", *arguments, "--json", "-")
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout)["results"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What is printed for the compiled model of the gallery, and its one result."""
    file = tmp_path_factory.mktemp("criteria") / "results.json"
    found = scrub("criteria", COMPOSE, *FEW, "--json", file)
    assert found.exit_code == 0
    [result] = json.loads(file.read_text())["results"]
    return found.stdout, result


def test_keys_of_a_result(shown: tuple[str, dict[str, Any]]) -> None:
    result = shown[1]
    assert {"hypothesis", "ablation", "direction", "parts", "seed"} <= set(result)
    assert {"gap", "ratio", "normalized", "low", "high"} <= set(result["faithfulness"])
    assert {"parts", "gap"} <= set(result["completeness"]["worst"])
    assert {"mean", "max"} <= set(result["completeness"]["random"])
    for needed in result["minimality"]:
        assert {"part", "effect", "context", "p", "adjusted"} <= set(needed)
    for test in result["tests"]:
        assert {"name", "null", "statistic", "p", "n"} <= set(test)


def test_the_compiled_circuit_is_faithful_and_complete(shown: tuple[str, dict[str, Any]]) -> None:
    text, result = shown
    assert result["hypothesis"].endswith("compose.py::compose")
    assert (result["ablation"], result["direction"], result["rows"], result["seed"]) == ("mean", "noising", 40, 0)
    assert result["faithfulness"]["normalized"] == pytest.approx(1, abs=1e-3)
    assert result["completeness"]["worst"]["gap"] < 0.01
    assert {n["part"] for n in result["minimality"]} == set(result["parts"])
    assert len(result["parts"]) == 6
    assert len(result["tests"]) == 4
    assert text.startswith(
        "compose  6 parts, mean ablation, noising: faithfulness 1.00 [1.00, 1.00] of (F(M) - F(0))"
    )
    for test in result["tests"]:
        assert test["name"] in text


def test_foils_are_judged_where_they_are_named() -> None:
    found = judged(COMPOSE, f"{COMPOSE}::no_key", *QUICK)
    assert [r["hypothesis"].split("::")[1] for r in found] == ["compose", "no_key"]


def test_with_no_random_ones_effects_stand_alone(shown: tuple[str, dict[str, Any]]) -> None:
    """`--random 0`, as in the paper: the effects of the whole command, no p and no random circuit."""
    [alone] = judged(COMPOSE, *FEW, "--random", 0)
    assert alone["options"]["random"] == 0
    effects = {needed["part"]: needed["effect"] for needed in shown[1]["minimality"]}
    assert {needed["part"]: needed["effect"] for needed in alone["minimality"]} == effects
    assert {needed["p"] for needed in alone["minimality"]} == {None}
    assert [test["n"] for test in alone["tests"]] == [0, 0, 40, 40]


def test_a_file_of_foils_alone_is_refused(write: Write) -> None:
    found = scrub("criteria", write("_own = make()\nfoil = _own.foil('why')"), *QUICK)
    assert found.exit_code == 2
    assert "only foils in claims.py" in found.stderr


def test_what_is_not_given_is_the_claims_own_protocol(write: Write) -> None:
    file = write("from scrub.claims.protocol import protocol\nc = make(criteria=protocol(ablation='zero'))")
    assert judged(file, *QUICK)[0]["ablation"] == "zero"
    [result] = judged(file, *QUICK, "--ablation", "resample", "--draws", 3, "--direction", "denoising", "--seed", 7)
    assert (result["ablation"], result["direction"]) == ("resample", "denoising")
    assert (result["draws"], result["seed"], result["rows"]) == (3, 7, 12)
    assert result["tests"] == []


def test_what_feeds_a_leaf_can_be_kept(write: Write) -> None:
    """The claim's leaf h reads a, which it does not name."""
    file = write("c = make()")
    given = (*QUICK, "--ablation", "resample", "--draws", 3)
    lost, kept = judged(file, *given)[0], judged(file, *given, "--upstream", "keep")[0]
    assert kept["faithfulness"]["circuit"] == kept["faithfulness"]["model"] == 0
    assert lost["faithfulness"]["circuit"] < 0
    assert "--upstream keep" in lost["cautions"][0]


@pytest.mark.parametrize(
    ("circuit", "parts"),
    [
        ("1.0, embed @ VALUE", ["embed", "1.0"]),
        ("embed -> 0.0.v, 0.0 -> 1.0.k, 1.0 -> logits", ["embed -> 0.0.v", "0.0 -> 1.0.k", "1.0 -> logits"]),
    ],
)
def test_another_circuit_is_judged_as_it_is_named(circuit: str, parts: list[str]) -> None:
    [result] = judged(COMPOSE, *QUICK, "--circuit", circuit)
    assert [part.split(" @ ")[0] for part in result["parts"]] == parts
    assert result["level"] == ("edges" if "->" in circuit else "components")


def test_a_circuit_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "circuit.json"
    file.write_text(json.dumps({"nodes": ["1.0 @ END"], "edges": []}))
    assert judged(COMPOSE, *QUICK, "--circuit", file)[0]["parts"] == ["1.0"]
    file.write_text(json.dumps({"nodes": ["1.0"], "edges": ["1.0 -> logits"]}))
    assert judged(COMPOSE, *QUICK, "--circuit", file)[0]["parts"] == ["1.0 -> logits"]
    assert judged(COMPOSE, *QUICK, "--circuit", file, "--level", "components")[0]["parts"] == ["1.0"]


def test_names_of_a_computation_graph(write: Write) -> None:
    file = write("c = make()")
    assert judged(file, *QUICK, "--circuit", "h, b")[0]["parts"] == ["b", "h"]
    assert scrub("criteria", file, *QUICK, "--circuit", "hh").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--circuit", "circuit.json"], "--circuit circuit.json: no such file"),
        (["--circuit", "9.9"], "there is no 9.9"),
        (["--circuit", "somewhere"], "names no component"),
        (["--ablation", "medium"], "'medium' is not one of"),
        (["--ablation", "paired"], "--pair COLUMN"),
        (["--group", "colour"], "colour"),
        (["--random", -1], "--random -1: that many random circuits"),
        (["--budget", 0], "--budget 0: "),
        (["--rows", 0], "--rows 0"),
        (["--draws", 0], "--draws 0"),
        (["--seed", -1], "--seed -1"),
        (["--json", "."], "cannot be written"),
        (["--device", "nowhere"], "--device nowhere"),
    ],
)
def test_misuse_is_said_in_a_sentence(arguments: list[object], sentence: str) -> None:
    found = scrub("criteria", COMPOSE, "--rows", 12, "--no-tests", *arguments)
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert "Traceback" not in found.output


def test_what_was_found_before_an_interruption_is_printed_and_kept(write: Write) -> None:
    """The metric breaks off once faithfulness stands; the page is made of what is there."""
    body = """
import scrub.circuit.criteria as judging
original = judging.completeness
def interrupted(*given):
    os.kill(os.getpid(), signal.SIGINT)
    return original(*given)
judging.completeness = interrupted
c = make()
"""
    write(body)
    line = [sys.executable, "-m", "scrub", "criteria", "claims.py", *map(str, QUICK), "--ablation", "resample"]
    found = subprocess.run([*line, "--out", "kept"], capture_output=True, text=True, check=False)
    assert found.returncode == 130
    assert found.stdout.startswith("c  2 parts, resample ablation")
    assert "F(C)/F(M)" in found.stdout
    assert "completeness" not in found.stdout
    assert (
        found.stderr.strip()
        == "scrub: interrupted; the criteria above are kept in kept: the same command goes on from there."
    )
    [result] = json.loads(Path("kept/criteria.json").read_text())["results"]
    assert result["unfinished"] == ["completeness", "minimality"]
    assert result["completeness"] is None
    assert scrub("report", "kept").exit_code == 0
    told = next(Path("kept").glob("*.html")).read_text()
    assert "Broken off before completeness and minimality." in told
