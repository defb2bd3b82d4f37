"""What the documents say is what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import scrub

ROOT = Path(__file__).parents[1]


def test_the_worked_example_of_the_idea() -> None:
    text = (ROOT / "docs" / "idea.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(re.sub(r"^print.*$", "", code, flags=re.MULTILINE), names)
    both, only_a = (scrub.test(names[name], exact=True) for name in ("both", "only_a"))
    assert both.verdict == "supported"
    assert both.metric.scrubbed == 0
    assert only_a.verdict == "refuted"
    assert only_a.metric.scrubbed == pytest.approx(9.9)
    assert f"{only_a.metric.random:.1f}" == "11.9"
    assert f"{only_a.recovered.value:.2f}" == "0.17"
    assert f"{only_a.constant:.2f}" == "0.28"
    for number in ("9.9", "11.9", "0.17", "0.28"):
        assert number in text


def test_parts_are_printed_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "parts.md").read_text()
    (code,), (printed,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "text"))
    exec(code, {})
    assert capsys.readouterr().out == printed


def test_the_readme_shows_two_commands_and_the_claim_as_it_stands() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = [line for line in readme.splitlines() if line.startswith("pip install")]
    assert commands == [
        "pip install -c constraints.txt -e . && scrub test hypotheses/induction.py",
        "pip install -c constraints.txt -e '.[dev]' && pytest -n 2 --dist loadfile",
    ]
    source = (ROOT / "hypotheses" / "induction.py").read_text()
    (shown,) = re.findall(r"(    return dict\(\n        first=.*?\n    \))", readme, re.DOTALL)
    assert shown in source


@pytest.mark.parametrize("page", [*sorted(p.name for p in (ROOT / "docs").glob("*.md")), "../README.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / "docs" / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), f"{page} links to {target}"
