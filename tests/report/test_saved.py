"""Pictures as files: SVG always, PNG and PDF where something here can make them."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import FOUND

from scrub.errors import ClaimError
from scrub.report import saved
from scrub.report.saved import save_picture

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="30" height="20"/></svg>\n'


def test_svg_is_what_was_drawn(tmp_path: Path) -> None:
    save_picture(SVG, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == SVG
    with pytest.raises(ClaimError, match=r"written as .svg, .png, .pdf: call it a.svg"):
        save_picture(SVG, tmp_path / "a.gif")


@pytest.mark.skipif(FOUND is None, reason="no browser is installed")
def test_png_and_pdf_have_the_pictures_size(tmp_path: Path) -> None:
    save_picture(SVG, tmp_path / "a.png")
    head = (tmp_path / "a.png").read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    assert [int.from_bytes(head[i : i + 4]) for i in (16, 20)] == [30 * saved.SCALE, 20 * saved.SCALE]
    save_picture(SVG, tmp_path / "a.pdf")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/Count 1" in pdf


def test_what_could_make_them_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "_cairo", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClaimError, match=r"PNG is made by CairoSVG .* or write a.svg"):
        save_picture(SVG, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
