"""The page in a real browser: it says nothing, asks for nothing, fits a phone, and prints what is folded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import FOUND, NAMES, browse, console, requests, said, width_on

from cli_cases import FALSE, HEAD, scrub

pytestmark = pytest.mark.skipif(FOUND is None, reason=f"no browser is installed: none of {', '.join(NAMES)}")
CLAIMS = HEAD + FALSE + '\nright_one = make()\nother = make(odd).foil("h is not odd")\n'
DARK = "--blink-settings=preferredColorScheme=0"
INKS = """[...document.querySelectorAll("body, .word, .brief, th, td, summary, figcaption")]
.map(found => getComputedStyle(found).color).concat(getComputedStyle(document.body).backgroundColor).join(";")"""
REACHED = """[...document.querySelectorAll("*")].filter(found => {
  const scrolls = found.scrollWidth > found.clientWidth + 1 && getComputedStyle(found).overflowX == "auto";
  if (!found.checkVisibility() || !scrolls && !found.matches("a[href], summary")) return false;
  found.focus();
  return document.activeElement != found;
}).map(found => found.outerHTML.slice(0, 80)).join(';') + '.'"""
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


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(...)` (WCAG 2.2)."""
    channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_paper(page: Path, tmp_path: Path, scheme: str) -> None:
    """Contrast 4.5 and more (WCAG 2.2, 1.4.3), in either scheme."""
    *inks, paper = map(luminance, said(page, tmp_path, INKS, *([DARK] if scheme == "dark" else [])).split(";"))
    assert (paper < 0.1) == (scheme == "dark")
    assert min((max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) for ink in set(inks)) >= 4.5


def test_everything_is_reached_by_keys(page: Path, tmp_path: Path) -> None:
    """Links, what folds, and what scrolls take the focus."""
    assert said(page, tmp_path, REACHED, "--window-size=360,900") == "."


def test_the_viewer_says_nothing_asks_for_nothing_and_fits(page: Path, tmp_path: Path) -> None:
    assert scrub("view", page.parent.parent, "--export", tmp_path / "site").exit_code == 0
    pages = sorted((tmp_path / "site").glob("*.html"))
    assert len(pages) > 3
    for one in (tmp_path / "site" / "index.html", next(p for p in pages if p.name.startswith("claim"))):
        log = tmp_path / f"{one.stem}.json"
        found = browse(one, tmp_path, f"--log-net-log={log}", "--dump-dom")
        assert (console(found.stderr), requests(log)) == ([], [])
        assert width_on(one, tmp_path, 360) == (360, 360)
        assert said(one, tmp_path, REACHED, "--window-size=360,900") == "."
