"""A headless browser for tests: what it prints, what it asks for, how wide a page is. Nothing leaves the machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = next(filter(None, map(shutil.which, NAMES)), None)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
OWN = "not an origin"  # who starts what the browser itself asks for
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def browse(page: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Open a page with a fresh profile."""
    assert FOUND is not None
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [FOUND, *QUIET, profile, "--enable-logging=stderr", "--v=0", *more, page.absolute().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def console(stderr: str) -> list[str]:
    """What pages said: errors, warnings, and what a policy refused."""
    return [line.partition("CONSOLE")[2] for line in stderr.splitlines() if "CONSOLE" in line]


def requests(log: Path) -> list[str]:
    """What pages asked for over a network, by the browser's own log."""
    text = log.read_text().rstrip()
    try:
        whole = json.loads(text)
    except ValueError:  # a browser that ends early leaves it open
        whole = json.loads(text.rstrip(",") + "]}")
    events: list[dict[str, Any]] = whole["events"]
    found = [event.get("params") or {} for event in events]
    return [p["url"] for p in found if "url" in p and p.get("initiator", OWN) != OWN]


def said(page: Path, folder: Path, script: str, *more: str) -> str:
    """What a script logs on a copy of a page that may run it."""
    copy = folder / "said.html"
    told = f"<script>console.log('said', ({script}).replaceAll('\\n', ' '))</script></body>"
    copy.write_text(POLICY.sub("", page.read_text()).replace("</body>", told))
    [line] = [line for line in console(browse(copy, folder, "--dump-dom", *more).stderr) if "said" in line]
    return re.search(r'"said (.*)", source', line)[1]  # type: ignore[index]


def width_on(page: Path, folder: Path, pixels: int) -> tuple[int, int]:
    """The width of a page's document in a frame that is as wide as a phone, and of the frame."""
    told = "<script>console.log('width', document.documentElement.scrollWidth, innerWidth)</script></body>"
    copy, outer = folder / "copy.html", folder / "phone.html"
    copy.write_text(POLICY.sub("", page.read_text()).replace("</body>", told))
    outer.write_text(f'<iframe src="copy.html" style="width:{pixels}px;height:900px;border:0"></iframe>')
    [line] = [line for line in console(browse(outer, folder, "--dump-dom").stderr) if "width" in line]
    [wide, frame] = map(int, re.findall(r"\d+", line.partition("width")[2])[:2])
    return wide, frame
