"""The notebook in examples/: it runs, its outputs are not stale, and the text beside them says what they say."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FILE = Path(__file__).parents[1] / "examples" / "from_proposal_to_comparison.ipynb"
VERDICT = re.compile(r"\b(supported|refuted|inconclusive|undefined|better than|cannot tell|refines|\d+ problems?)\b")
SHARE = re.compile(r"recovered (?:of \S+ )?(-?\d\.\d\d)")
OF_THE_DRAWING = re.compile(r"<svg.*?</svg>|<style.*?</style>|<[^>]*>", re.DOTALL)


def words(cell: Any) -> str:
    """What a code cell shows, as text."""
    parts: list[str] = []
    for output in cell.outputs:
        data = output.get("data", {})
        shown = data.get("text/html", data.get("text/plain", ""))
        parts.append(output.get("text", "") or unescape(OF_THE_DRAWING.sub(" ", shown)))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def stored() -> Any:
    return nbformat.read(FILE, as_version=4)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook executed anew, in a directory of its own, by the Python that runs the tests."""
    place = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(FILE, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "IPYTHONDIR": str(place / "ipython"),
            "JUPYTER_RUNTIME_DIR": str(place / "runtime"),
            "PLOTLY_RENDERER": "plotly_mimetype",
        }.items():
            patch.setenv(name, value)
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(place)}}).execute()
    return notebook


def code(notebook: Any, start: str) -> str:
    """What the one code cell shows in whose source `start` stands."""
    (found,) = [cell for cell in notebook.cells if cell.cell_type == "code" and start in cell.source]
    return words(found)


def test_no_cell_raises_and_no_output_is_stale(stored: Any, ran: Any) -> None:
    for old, new in zip(stored.cells, ran.cells, strict=True):
        if new.cell_type != "code":
            continue
        assert all(output.output_type != "error" for output in new.outputs)
        if "interactive" in old.metadata.get("tags", []):
            assert not old.outputs  # as many bytes as the rest of the notebook
            assert "application/vnd.plotly.v1+json" in new.outputs[0].data
            continue
        assert VERDICT.findall(words(old)) == VERDICT.findall(words(new)), new.source
        before, after = (SHARE.findall(words(cell)) for cell in (old, new))
        assert [float(x) for x in before] == pytest.approx([float(x) for x in after], abs=0.011), new.source


def test_the_text_says_what_the_cell_above_it_shows(ran: Any) -> None:
    """Verdicts in backticks and numbers of two decimals stand in the output that the text speaks of."""
    above, checked = "", 0
    for cell in ran.cells:
        if cell.cell_type == "code":
            above = words(cell)
            continue
        told = re.findall(r"`(supported|refuted|inconclusive)`", cell.source) + re.findall(
            r"\b\d\.\d\d\b", cell.source
        )
        missing = [found for found in told if found not in above]
        assert not missing, f"{missing} in:\n{cell.source}"
        checked += len(told)
    assert checked >= 8


def test_the_story_is_the_one_that_is_told(ran: Any) -> None:
    assert code(ran, "few = scrub.test").startswith("inconclusive")
    assert "✓ names  supported" in code(ran, "result = scrub.test")
    assert "✗ doubled_only  refuted" in code(ran, "refuted = scrub.test")
    (first,) = re.findall(r"undoing gains.*\n(\S.*)", code(ran, "why = scrub.explain"))
    assert first.startswith("donor of doubled  0.0 0.1 0.3 @ END")
    assert "names is better than doubled_only" in code(ran, "comparison = scrub.compare")
    assert "names refines doubled_only" in code(ran, "comparison = scrub.compare")
    assert re.findall("True|False", code(ran, "published = scrub.freeze")) == ["True", "True"]
    assert "exit code 0 and a report: True" in code(ran, "subprocess.run")
    assert "2 problems" in code(ran, "gatherd")


def test_drawings_are_kept_and_the_file_stays_small(stored: Any) -> None:
    pages = [o.data["text/html"] for c in stored.cells if c.cell_type == "code" for o in c.outputs if "data" in o]
    assert sum("<svg" in page for page in pages) >= 4  # the claim, its tree, shares twice, the Pareto picture
    assert FILE.stat().st_size < 400_000
    assert "/tmp/" not in FILE.read_text()
