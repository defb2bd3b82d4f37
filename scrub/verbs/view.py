"""Pages over all runs below a directory, made of what is stored there now: served to this machine alone, or written.

A page is known by its name, and no name leads to a file: what a browser asks for is looked up among the pages that
there are, so that nothing outside the directory, and no stored markup, is ever sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from scrub.errors import ClaimError
from scrub.report import viewer
from scrub.storage import files
from scrub.storage.below import RunBelow, runs_below
from scrub.verbs.report import page_of

HERE = "127.0.0.1"
_NAMES = (HERE, "localhost")
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
}  # fmt: skip
Pages = dict[str, Callable[[], str]]


def pages(root: Path) -> Pages:
    """The pages by name, each made when it is asked for. Raises ClaimError where there is no such directory."""
    runs = runs_below(root)
    made: Pages = {viewer.INDEX: partial(viewer.index_page, root.resolve().name, runs)}
    for name, tried in viewer.histories(runs).items():
        made[viewer.claim_name(name)] = partial(viewer.claim_page, name, tried)
    for run in runs:
        made[viewer.run_name(run)] = partial(_report, root, run)
    return made


def _report(root: Path, run: RunBelow) -> str:
    try:
        return page_of(root / run.folder)
    except ClaimError as error:
        return viewer.sorry_page(run.folder, str(error))


def export(root: Path, out: Path) -> int:
    """Write all pages into a directory that is new or empty; how many there are. Raises ClaimError."""
    made = pages(root)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ClaimError(f"--export {out}: it exists and is not empty: name a directory to make.")
    for name, page in made.items():
        files.write_text(out / name, _sendable(page()).rstrip(), follow=False)
    return len(made)


def server(root: Path, port: int) -> ThreadingHTTPServer:
    """What serves the pages on this machine alone; port 0 takes any free one.

    Raises ClaimError where there is no such directory, and for a port that is taken or not allowed.
    """
    runs_below(root)
    try:
        return ThreadingHTTPServer((HERE, port), partial(_Pages, root))
    except (OSError, OverflowError) as error:
        raise ClaimError(
            f"--port {port} cannot be used ({error}): give another, or 0 for any that is free."
        ) from None


class _Pages(BaseHTTPRequestHandler):
    """Answers GET and HEAD for pages by their names, and nothing else."""

    def __init__(self, root: Path, *arguments: Any) -> None:
        self.root = root
        super().__init__(*arguments)

    def do_GET(self) -> None:
        status, page = answer(self.root, self.path, self.headers.get("Host", ""))
        sent = _sendable(page).encode()
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Length": str(len(sent))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal stays quiet."""


def answer(root: Path, path: str, host: str) -> tuple[HTTPStatus, str]:
    """The page of a path, for a request to this machine: a name of another host in `host` is refused."""
    if host.rpartition(":")[0] not in _NAMES and host not in _NAMES:
        return HTTPStatus.FORBIDDEN, viewer.sorry_page("Not here", f"This page is for {HERE} alone.")
    try:
        made = pages(root).get(path.partition("?")[0].removeprefix("/") or viewer.INDEX)
    except ClaimError as error:
        return HTTPStatus.NOT_FOUND, viewer.sorry_page("Not here", str(error))
    if made is None:
        return HTTPStatus.NOT_FOUND, viewer.sorry_page("Not here", "There is no such page: a run may have gone.")
    return HTTPStatus.OK, made()


def _sendable(page: str) -> str:
    """Halves of characters, which no file or browser takes, as question marks."""
    return page.encode(errors="replace").decode()
