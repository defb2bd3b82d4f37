"""`scrub freeze` and `scrub diff`, and frozen claims as targets of the other commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scrub as package
from cli_cases import Write, scrub, write
from scrub.claims.collect import collect
from scrub.engine.draw import Calls, Draws
from scrub.engine.unroll import unroll
from scrub.errors import ClaimError
from scrub.model.resolve import sound

__all__ = ["write"]
BUILT_IN = """
def wide():
    made = graph()
    made.nodes["out"]["function"] = lambda h, g, b: tuple(float(v == h + b) for v in range(8))
    return made

good = make(model=wide, metric="loss(sum)", expect=recovers(0.5), data=rows(36))
other = make(odd, model=wide, metric="loss(sum)", expect=recovers(0.5), data=rows(36)).foil("the remainder")
"""
INDUCTION = f"{Path(package.__file__).parents[1] / 'hypotheses/induction.py'}::induction"
SMALL = ("--rows", "12", "--draws", "2", "--json", "-")
FILES = ["claim.json", "claim.txt", "rows.jsonl", "values.json"]
LINES = {  # of `good`, and of `other`: what each says alone
    "site of answer: out: h reads half", "site of half: h",
}, {
    "site of answer: out: g reads half", "site of half: g", "foil: the remainder",
}  # fmt: skip


def graph(file: str = "claims.py") -> tuple[Any, Any]:
    """The claim of `BUILT_IN` and the graph that it is about."""
    found = collect([f"{file}::good"]).hypotheses[0]
    return found, found.model()


def results(output: str) -> list[dict[str, Any]]:
    return json.loads(output)["results"]


def test_a_frozen_claim_gives_the_same_numbers_without_its_code(write: Write) -> None:
    own = results(scrub("test", INDUCTION, *SMALL).output)[0]
    found = scrub("freeze", INDUCTION, "--out", "published/induction", "--json", "-")
    assert results(found.output) == [
        {"hypothesis": INDUCTION, "digest": own["digest"], "out": "published/induction", "without": None}
    ]
    assert sorted(os.listdir("published/induction")) == FILES
    [told] = results(scrub("test", "published/induction", *SMALL).output)
    assert told.pop("hypothesis") == "published/induction::induction"
    own.pop("hypothesis")
    assert told == own


def test_a_claim_about_a_graph_is_frozen_without_it_and_tested_with_it(write: Write) -> None:
    write(BUILT_IN)
    found = scrub("freeze", "claims.py::good", "--out", "good")
    assert "Its model, computation graph, is a thing in Python and no part of it." in found.output
    refused = scrub("test", "good")
    assert refused.exit_code == 2
    assert "good is frozen without its model, computation graph" in refused.output
    for said in (found.output, refused.output):
        assert 'scrub.test(scrub.thaw("good"), model=graph)' in said
        assert "--model" not in said
    own, model = graph()
    thawed = package.thaw("good")
    first = package.test(own, model, rows=30, draws=3)
    code = "import json, scrub, claims; found = scrub.test(scrub.thaw('good'), claims.wide(), rows=30, draws=3)"
    code += "; print(json.dumps(found.to_dict()))"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    second = json.loads(again.stdout) | {"hypothesis": first.hypothesis}
    assert second == json.loads(json.dumps(first.to_dict()))
    assert package.test(thawed, model, exact=True).recovered == package.test(own, model, exact=True).recovered


def test_draws_of_a_thawed_claim_are_bit_equal(write: Write) -> None:
    write(BUILT_IN)
    own, model = graph()
    package.freeze(own, "good")
    drawn: list[dict[str, Any]] = []
    for hypothesis in (own, package.thaw("good")):
        claim, _ = sound(hypothesis, model)
        rows = np.arange(len(claim.data))
        drawn.append(Draws(claim, 3).tree(unroll(claim), Calls(rows, rows % 5)))
    assert drawn[0].keys() == drawn[1].keys()
    for path, made in drawn[0].items():
        assert np.array_equal(made.own, drawn[1][path].own)
        assert np.array_equal(made.rest, drawn[1][path].rest)


def test_a_frozen_variant_is_a_target_by_its_title(write: Write) -> None:
    write("""
        @claim(story, model=graph, data=rows, metric="accuracy(sum)", expect=recovers(0.9))
        def varied(right=True):
            return places() if right else odd()
    """.replace("\n        ", "\n"))  # fmt: skip
    assert scrub("freeze", "claims.py::varied[right=False]", "--out", "v").exit_code == 0
    for target in ("v", "v::varied[right=False]"):
        assert "v::varied[right=False]" in scrub("list", target).output
    missing = scrub("list", "v::other")
    assert (missing.exit_code, "v has no claim 'other'" in missing.output) == (2, True)


def test_a_directory_that_exists_is_never_written_over(write: Write) -> None:
    write(BUILT_IN)
    Path("there").mkdir()
    found = scrub("freeze", "claims.py::good", "--out", "there")
    assert (found.exit_code, "there exists already" in found.output) == (2, True)
    assert os.listdir("there") == []


def test_nothing_half_written_is_left(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(BUILT_IN)
    own, model = graph()
    whole = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "rows.jsonl":
            whole(path, content[:5])
            raise OSError(28, "No space left on device")
        return whole(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ClaimError, match="out cannot be written: No space left on device"):
        package.freeze(own, "out", model)
    assert sorted(os.listdir()) == ["__pycache__", "claims.py"] or os.listdir() == ["claims.py"]


def test_a_metric_of_ones_own_and_several_claims_are_refused(write: Write) -> None:
    file = write("own = make()\n" + BUILT_IN)
    found = scrub("freeze", "claims.py::own", "--out", "out")
    assert (found.exit_code, "own: the metric right is a function" in found.output) == (2, True)
    several = scrub("freeze", file, "--out", "out")
    assert (several.exit_code, "claims.py holds 3 claims, own, good, other: name one" in several.output) == (2, True)
    assert not Path("out").exists()


def test_a_damaged_claim_is_among_the_problems(write: Write) -> None:
    write(BUILT_IN)
    scrub("freeze", "claims.py::good", "--out", "good")
    file = Path("good/rows.jsonl")
    file.write_text(file.read_text().replace('"a": 1', '"a": 2', 1))
    for command in ("list", "check", "test", "show"):
        found = scrub(command, "good")
        assert found.exit_code == 2
        assert "good/rows.jsonl was changed" in found.output
    assert scrub("diff", "good", "good").exit_code == 2
    assert "claims.py::good" in scrub("list", "good", "claims.py").output  # which is told all the same


@pytest.mark.parametrize(("a", "b"), [
    ("claims.py::good", "claims.py::other"), ("good", "claims.py::other"), ("claims.py::good", "other"),
    ("good", "other"),
])  # fmt: skip
def test_diff_tells_one_fact_a_line(a: str, b: str, write: Write) -> None:
    write(BUILT_IN)
    for name in ("good", "other"):
        scrub("freeze", f"claims.py::{name}", "--out", name)
    [found] = results(scrub("diff", a, b, "--json", "-").output)
    assert (found["a"], found["b"], found["same"]) == (a, b, False)
    removed, added = LINES
    assert set(found["removed"]) == removed
    assert set(found["added"]) == added
    shown = scrub("diff", a, b).output.splitlines()
    assert shown[:2] == [f"--- {a}", f"+++ {b}"]
    assert set(shown[2:]) == {f"- {line}" for line in removed} | {f"+ {line}" for line in added}


def test_diff_of_a_claim_and_its_frozen_self_is_empty(write: Write) -> None:
    write(BUILT_IN)
    scrub("freeze", "claims.py::good", "--out", "good")
    found = scrub("diff", "claims.py::good", "good", "--json", "same.json")
    assert (found.exit_code, found.output) == (0, "claims.py::good and good claim the same.\n")
    assert results(Path("same.json").read_text())[0]["same"] is True


def test_diff_compares_claims_that_cannot_be_frozen(write: Write) -> None:
    write("own = make()\nother = make(expect=recovers(0.5))")
    [found] = results(scrub("diff", "claims.py::own", "claims.py::other", "--json", "-").output)
    assert (found["removed"], found["added"]) == (["expectation share: 0.9"], ["expectation share: 0.5"])
    with pytest.raises(ClaimError, match=r"claims.py holds no claim.json"):
        package.diff("claims.py", "claims.py")
