"""The page in a real browser: it says nothing, asks for nothing, fits a phone, and prints what is folded."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import FOUND, NAMES, browse, console, requests, width_on

from cli_cases import FALSE, HEAD, scrub

pytestmark = pytest.mark.skipif(FOUND is None, reason=f"no browser is installed: none of {', '.join(NAMES)}")
CLAIMS = HEAD + FALSE + '\nright_one = make()\nother = make(odd).foil("h is not odd")\n'
FOLDED = "details:not(.unprinted)::details-content"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Claims, a comparison, and a circuit on one page."""
    folder = tmp_path_factory.mktemp("browser")
    file, out = folder / "claims.py", folder / "run"
    file.write_text(CLAIMS)
    for command in (("test", file), ("compare", file), ("criteria", f"{file}::right_one", "--random", 2)):
        found = scrub(*command, "--out", out)
        assert found.exit_code == 0, found.stderr
    assert scrub("report", out).exit_code == 0
    return out / "report.html"


def test_it_says_nothing_and_asks_for_nothing(page: Path, tmp_path: Path) -> None:
    log = tmp_path / "net.json"
    found = browse(page, tmp_path, f"--log-net-log={log}", "--dump-dom")
    assert "</main>" in found.stdout
    assert console(found.stderr) == []
    assert requests(log) == []


def test_what_a_page_says_and_asks_for_would_be_seen(tmp_path: Path) -> None:
    page, log = tmp_path / "loud.html", tmp_path / "net.json"
    page.write_text('<img src="https://example.invalid/x.png"><script>console.warn("loud")</script>')
    found = browse(page, tmp_path, f"--log-net-log={log}", "--dump-dom")
    assert any("loud" in line for line in console(found.stderr))
    assert set(requests(log)) == {"https://example.invalid/x.png"}


def test_it_is_as_wide_as_a_phone(page: Path, tmp_path: Path) -> None:
    assert width_on(page, tmp_path, 360) == (360, 360)
    wide = tmp_path / "wide.html"
    wide.write_text(page.read_text().replace("<main>", '<main><p style="width:500px">wide</p>'))
    assert width_on(wide, tmp_path, 360)[0] > 360


def test_it_prints(page: Path, tmp_path: Path) -> None:
    browse(page, tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    shut = tmp_path / "shut.html"
    assert FOLDED in page.read_text()
    shut.write_text(page.read_text().replace(FOLDED, ".none"))
    browse(shut, tmp_path, f"--print-to-pdf={tmp_path / 'shut.pdf'}")
    sizes = [(tmp_path / name).stat().st_size for name in ("page.pdf", "shut.pdf")]
    assert sizes[0] > sizes[1] + 1000, sizes  # what is folded is printed
