"""A picture as a file: SVG as it is drawn, PNG and PDF by CairoSVG or a browser, whichever is here."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from scrub.errors import ClaimError
from scrub.storage import files

FORMS = (".svg", ".png", ".pdf")
SCALE = 2  # pixels of a PNG for each of the picture
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SIZE = re.compile(r'<svg[^>]*? width="([\d.]+)" height="([\d.]+)"')
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND")
SECONDS = 60  # that a browser may take


def savable(picture: Path) -> None:
    """Raises ClaimError for a file that cannot be written, another suffix, and a form that nothing here can make."""
    files.writable(picture)
    if picture.suffix not in FORMS:
        near = picture.with_suffix(".svg").name
        raise ClaimError(f"--picture {picture}: a picture is written as {', '.join(FORMS)}: call it {near}.")
    if picture.suffix != ".svg" and not _cairo() and _browser() is None:
        raise ClaimError(
            f"--picture {picture}: {picture.suffix[1:].upper()} is made by CairoSVG (pip install "
            f"'causal-scrub[pictures]') or by a browser on the path ({', '.join(BROWSERS)}), and neither is here: "
            "install one, or write "
            f"{picture.with_suffix('.svg').name}."
        )


def save_picture(svg: str, picture: Path) -> None:
    """Write a picture in the form of its suffix. Raises ClaimError as `savable` does, and where a browser fails."""
    savable(picture)
    if picture.suffix == ".svg":
        files.write_text(picture, svg.rstrip())
    elif _cairo():
        _by_cairo(svg, picture)
    else:
        _by_browser(svg, picture)


def _cairo() -> bool:
    return find_spec("cairosvg") is not None


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _by_cairo(svg: str, picture: Path) -> None:
    import cairosvg  # pyright: ignore[reportMissingImports]

    write = cairosvg.svg2png if picture.suffix == ".png" else cairosvg.svg2pdf
    write(bytestring=svg.encode(), write_to=str(picture), scale=SCALE if picture.suffix == ".png" else 1)


def _by_browser(svg: str, picture: Path) -> None:
    """One page of the picture's size, printed or photographed by a headless browser that reaches nothing."""
    size = _SIZE.search(svg)
    assert size, "pictures that scrub draws say their size"
    wide, high = (round(float(side)) for side in size.groups())
    with TemporaryDirectory() as folder:
        page, made = Path(folder, "page.html"), Path(folder, f"made{picture.suffix}")
        style = f"@page {{ size: {wide}px {high}px; margin: 0 }} body {{ margin: 0 }} svg {{ display: block }}"
        page.write_text(f'<!DOCTYPE html><meta charset="utf-8"><style>{style}</style>{svg}', encoding="utf-8")
        what = [f"--screenshot={made}", f"--window-size={wide},{high}", f"--force-device-scale-factor={SCALE}"]
        if picture.suffix == ".pdf":
            what = [f"--print-to-pdf={made}", "--no-pdf-header-footer"]
        _run([*what, f"--user-data-dir={folder}/profile", page.as_uri()], made, picture)
        shutil.copyfile(made, picture)


def _run(options: list[str], made: Path, picture: Path) -> None:
    name = _browser()
    assert name is not None
    try:
        subprocess.run([name, *QUIET, *options], capture_output=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        why = f"--picture {picture}: {name} failed ({type(error).__name__})"
        raise ClaimError(f"{why}: write an SVG instead.") from None
    if not made.is_file():
        raise ClaimError(f"--picture {picture}: {name} wrote nothing: write an SVG instead.")
