"""`scrub propose`: its JSON, its picture, data at hand and the setting of a claim, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cli_cases import scrub
from proposals.test_propose import paired

NAMES = str(Path(__file__).parents[2] / "hypotheses" / "names.py") + "::names"
QUICK = ("--rows", 8, "--verify", 4, "--draws", 16)
AT_HAND = ("--model", "zoo:names", "--metric", "logit_diff(io, s1)", "--pair", "partner", "--scored", "is_ioi")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    lines = [
        json.dumps({"tokens": list(row.tokens), "positions": row.positions, "columns": row.columns})
        for row in paired().rows
    ]
    file.write_text("\n".join(lines))
    return file


def test_a_claim_gives_the_setting(tmp_path: Path) -> None:
    picture = tmp_path / "map.svg"
    found = scrub("propose", NAMES, *QUICK, "--method", "relp", "--picture", picture, "--json", tmp_path / "out.json")
    assert found.exit_code == 0, found.stderr
    assert "left out by the claim" in found.stdout
    assert "what may be missed" in found.stdout
    [result] = json.loads((tmp_path / "out.json").read_text())["results"]
    assert result["hypothesis"].endswith("names.py::names")
    assert (result["method"], result["direction"], result["seed"], result["rows"]) == ("relp", "noising", 0, 8)
    assert ElementTree.fromstring(picture.read_text()).tag.endswith("svg")


def test_data_at_hand(rows: Path) -> None:
    found = scrub(
        "propose", *AT_HAND, "--data", rows, *QUICK, "--direction", "denoising", "--method", "eap-ig", "--over",
        "activations", "--points", "midpoint", "--steps", 2, "--at", "END", "--nodes", "heads", "--json", "-",
    )  # fmt: skip
    assert found.exit_code == 0, found.stderr
    [result] = json.loads(found.stdout)["results"]
    assert {node["position"] for node in result["nodes"]} == {"END"}
    assert {node["kind"] for node in result["nodes"]} == {"head"}
    assert result["edge_method"] == "eap-ig"
    assert (result["options"]["over"], result["options"]["points"]) == ("activations", "midpoint")


def test_signs_or_sizes(rows: Path) -> None:
    for option, told in (("--absolute", "mean of absolute values"), ("--signed", "mean")):
        found = scrub("propose", *AT_HAND, "--data", rows, *QUICK, "--method", "atp", option, "--json", "-")
        [result] = json.loads(found.stdout)["results"]
        assert (result["aggregate"], result["edge_aggregate"]) == (told, told)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("name a claim", "--model, --data, --metric")),
        ((NAMES, "--data", "rows.jsonl"), ("brings its own data",)),
        ((NAMES, "--metric", "loss(io)"), ("the hypothesis says",)),
        ((NAMES, "--method", "realp"), ("realp", "relp")),
        ((NAMES, "--picture", "map.jpg"), (".svg", "map.svg")),
        ((NAMES, "--write", "claim.txt"), ("claim.py",)),
        (("--model", "zoo:names", "--data", "no.jsonl", "--metric", "loss(io)"), ("no.jsonl", "cannot be read")),
    ],
)
def test_misuse_ends_with_a_sentence(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    found = scrub("propose", *arguments, *QUICK)
    assert found.exit_code == 2
    assert "Traceback" not in found.stderr
    for word in words:
        assert word in found.stderr
